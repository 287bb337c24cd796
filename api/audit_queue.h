// Refused administrative requests, for the audit trail: who knocks on doors that are not theirs. Told from any thread
// without waiting for a disk; written by a thread of its own, in group commits that others use too. A crash can lose what
// was told within the last group commit.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/message.h"
#include "api/rate_budget.h"
#include "engine/committer.h"

namespace watchword::api {

class AuditQueue {
 public:
  static constexpr std::uint32_t burst = 100;         // at once
  static constexpr std::uint32_t refill_ms = 100;     // and one more for each of these
  static constexpr std::size_t waiting_max = 10000;   // while the store is slow; further ones are counted as left out
  static constexpr std::size_t path_bytes_max = 200;  // of the path, as told

  explicit AuditQueue(engine::Committer& committer);
  ~AuditQueue();  // stop()
  AuditQueue(const AuditQueue&) = delete;
  AuditQueue& operator=(const AuditQueue&) = delete;

  // Bounded in rate, so that nobody fills the disk by knocking: what goes beyond is counted, and the next such entry says
  // how many were left out. `target`: as sent; only its path is told.
  void refused(const engine::Origin& origin, unsigned status, Method method, std::string_view target,
               engine::UnixMillis now);
  // For whoever counts: entries that wait, and those that were left out since the start.
  std::size_t backlog() const;
  std::uint64_t left_out() const { return left_out_total_.load(std::memory_order_relaxed); }
  // Writes what is left, then ends the thread. Before the committer stops.
  void stop();

 private:
  void run();

  engine::Committer& committer_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<engine::AuditEntry> waiting_;  // under mutex_, like all below
  RateBudget budget_{burst, refill_ms};
  std::uint64_t left_out_ = 0;
  std::atomic<std::uint64_t> left_out_total_{0};
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace watchword::api
