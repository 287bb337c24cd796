// What the audit trail says about verifications, as policy asks for: all, refusals, or none; and about locks that begin, in
// any case. An entry goes into the ring of the thread that decided, and becomes durable in one group with the word that the
// decision changed. No allocation in steady state, no system call.
//
// A wrong code is always told: the lockout bounds how many there are. What changes nothing and costs its sender nothing
// (replayed, locked, no_device) is told at a bounded rate, so that nobody fills the disk by asking; what goes beyond is
// counted, and the next such entry says how many were left out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/rate_budget.h"
#include "engine/committer.h"
#include "engine/policy_box.h"
#include "engine/verifier.h"

namespace watchword::api {

// Who asks, and from where.
struct Asker {
  std::string_view actor;
  std::string_view address;
  std::string_view trace;
};

class VerificationNotes {
 public:
  static constexpr std::uint32_t idle_burst = 200;     // replayed, locked and no_device: at once
  static constexpr std::uint32_t idle_refill_ms = 50;  // and one more for each of these
  static constexpr std::size_t notes_per_verification = 2;

  VerificationNotes(engine::Producer& producer, const engine::PolicyBox& policy) : producer_(producer), policy_(policy) {}

  // Whether so many verifications can be told; to be asked before they are decided. False is overload.
  bool has_room(std::size_t verifications) noexcept {
    return producer_.notes().has_room(verifications * notes_per_verification);
  }
  // `verdict` was given just now on this thread, and its cell is not yet published.
  void decided(const Asker& asker, std::string_view user, const engine::Verdict& verdict, engine::UnixMillis now);
  // Of a recovery code: what was accepted or rejected is told by the registrar.
  void decided_recovery(const Asker& asker, std::string_view user, const engine::Verdict& verdict, engine::UnixMillis now);

  // Verifications that were not told because there were too many. Any thread.
  std::uint64_t left_out() const noexcept { return left_out_total_.load(std::memory_order_relaxed); }

 private:
  bool wants(const engine::Verdict& verdict, engine::UnixMillis now);
  void push(const Asker& asker, std::string_view action, std::string_view user, std::uint64_t device,
            engine::UnixMillis now);
  void begin_detail(const engine::Verdict& verdict);

  engine::Producer& producer_;
  const engine::PolicyBox& policy_;
  RateBudget idle_{idle_burst, idle_refill_ms};
  std::uint64_t left_out_ = 0;                    // since the last entry that said so
  std::atomic<std::uint64_t> left_out_total_{0};  // written by this thread alone; relaxed, it only counts
  std::string detail_;                            // scratch
};

// Whether this verdict began a lock: one that stood before is answered with `locked`, or, where a wrong recovery code only
// holds up the next one, with both.
inline bool began_lock(const engine::Verdict& verdict) {
  return verdict.result == engine::Result::rejected && !verdict.repeated &&
         (verdict.retry_after_s > 0) != verdict.hard_locked;
}
// Of a lock: {"hard":false,"retry_after_s":8}.
void append_lock_detail(std::string& out, bool hard, std::uint32_t retry_after_s);

}  // namespace watchword::api
