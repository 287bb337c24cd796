// Whether the threads that everything waits for still move, and how fast the work goes: for the watchdog and its status
// line. One thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "api/server.h"
#include "engine/committer.h"

namespace watchword::app {

class Pulse {
 public:
  Pulse(const api::Server& server, engine::Committer& committer);

  // True once every event loop has come round and the committer has gone through its rings since the last time that this
  // was true. A loop that hangs, or a sync that does not return, keeps it false.
  bool moved();

  // "Serving: 812 commits/s with 20,144 words, 64 connections; ...", over the time since the last call.
  std::string rates(const engine::StoreHealth& health);

 private:
  const api::Server& server_;
  engine::Committer& committer_;
  std::vector<std::uint64_t> turns_;
  std::uint64_t rounds_ = 0;
  std::chrono::steady_clock::time_point counted_at_;
  std::uint64_t groups_ = 0;
  std::uint64_t words_ = 0;
};

}  // namespace watchword::app
