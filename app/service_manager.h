// What systemd is told (sd_notify(3)); where the program was not started by it, nothing is.
#pragma once

#include <string>

namespace watchword::app {

// After all listeners accept.
void tell_ready();
// On SIGHUP; tell_ready() ends it.
void tell_reloading();
void tell_stopping();
// That everything that must move has moved; systemd ends a service that does not say so for WatchdogSec.
void tell_alive();
// One line for people, shown by `systemctl status`.
void tell_status(const std::string& text);

}  // namespace watchword::app
