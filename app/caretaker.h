// What the main thread does while the others serve: signals, certificates, the store's health, the clock, the keys, and what
// the service manager hears of it all.
#pragma once

#include <csignal>
#include <filesystem>

#include "api/server.h"
#include "api/trail_outlets.h"
#include "app/clock_watch.h"
#include "engine/engine.h"
#include "metrics/history.h"

namespace watchword::app {

class Caretaker {
 public:
  // As soon as the server has started, so that readiness knows of the clock from the beginning. All are alive as long as
  // this is. `history`: read at its interval; null: nothing is counted.
  Caretaker(engine::Engine& engine, api::Server& server, api::AccessKeys& access_keys, api::TrailOutlets& outlets,
            metrics::History* history, const std::filesystem::path& data_dir);

  // From when all listeners accept until SIGTERM or SIGINT, which is returned. `signals`, blocked in every thread, holds
  // these and SIGHUP.
  int wait(const sigset_t& signals);

  const ClockWatch& clock() const { return clock_; }

 private:
  void look_at_clock();
  void look_at_keys();
  bool look_at_store();

  engine::Engine& engine_;
  api::Server& server_;
  api::AccessKeys& access_keys_;
  api::TrailOutlets& outlets_;
  metrics::History* const history_;
  ClockWatch clock_;
  std::chrono::steady_clock::time_point jumped_at_;
  std::chrono::milliseconds last_jump_{0};
  bool behind_ = false;
  bool writable_ = true;
  bool resealing_ = false;
};

}  // namespace watchword::app
