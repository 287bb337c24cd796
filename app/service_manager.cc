#include "app/service_manager.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <chrono>

namespace watchword::app {
namespace {

// Nobody who listens is no fault: the service manager has time-outs of its own.
void tell(const std::string& state) {
  static_cast<void>(sd_notify(0, state.c_str()));
}

}  // namespace

void tell_ready() {
  tell("READY=1");
}

void tell_reloading() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void tell_stopping() {
  tell("STOPPING=1");
}

void tell_alive() {
  tell("WATCHDOG=1");
}

void tell_status(const std::string& text) {
  std::string line = text;
  std::replace(line.begin(), line.end(), '\n', ' ');  // a line break would begin another assignment
  tell("STATUS=" + line);
}

}  // namespace watchword::app
