// Refused administrative requests, for the audit trail: who knocks on doors that are not theirs. Told from any thread
// without waiting; written by a thread of its own. Bounded in rate, so that nobody fills the disk by knocking: what goes
// beyond is counted, and the next entry says how many there were.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/message.h"
#include "engine/committer.h"

namespace watchword::api {

class RefusalAudit {
 public:
  static constexpr std::uint32_t burst = 100;         // at once
  static constexpr std::uint32_t refill_ms = 100;     // and one more for each of these
  static constexpr std::size_t path_bytes_max = 200;  // of the path, as told

  explicit RefusalAudit(engine::Committer& committer);
  ~RefusalAudit();  // stop()
  RefusalAudit(const RefusalAudit&) = delete;
  RefusalAudit& operator=(const RefusalAudit&) = delete;

  // `target`: as sent; only its path is told.
  void note(const engine::Origin& origin, unsigned status, Method method, std::string_view target, engine::UnixMillis now);
  // Writes what is left, then ends the thread. Before the committer stops.
  void stop();

 private:
  bool admit(engine::UnixMillis now);
  void run();

  engine::Committer& committer_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<engine::AuditEntry> waiting_;  // under mutex_, like all below; never more than burst
  std::uint32_t tokens_ = burst;
  std::int64_t refilled_at_ms_ = 0;
  std::uint64_t left_out_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace watchword::api
