// What one event loop counts about verifications: plain increments in the loop's own memory, read by whoever scrapes.
//
// Stages of POST /v1/verify are laps of one clock, so that they add up to the whole: each is read off once, where it ends.
//   parse        from the read that made the request whole to the question (head, key, JSON); that read itself too where the
//                loop came to it straight from another question, so that one reading of the clock ends the one and begins
//                the other
//   engine       charge, compute, claim, together with what else came in the same round of the loop
//   commit_wait  from there until the group commit is known to this loop; only answers that wait for the disk
//   write        from the decision until the answer's last byte is with the kernel
//   total        all of it, and waiting for a user to be loaded
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "api/http_metrics.h"
#include "engine/verifier.h"
#include "metrics/counters.h"
#include "metrics/exposition.h"
#include "metrics/ticks.h"

namespace watchword::api {

struct Exchange;
struct Question;

// What came of a code. The contract's results, and what did not come to a decision.
enum class Asked : std::uint8_t { accepted, rejected, replayed, locked, no_device, invalid, unavailable, overloaded };
inline constexpr std::size_t asked_count = 8;
inline constexpr std::array<const char*, asked_count> asked_names = {"accepted",  "rejected", "replayed",    "locked",
                                                                     "no_device", "invalid",  "unavailable", "overloaded"};
Asked asked(engine::Result result);
// watchword_verifications_total, with zeros.
template <class CounterType>
void collect_verifications(const std::array<CounterType, asked_count>& counts, metrics::Collected& into);

class alignas(64) LoopMetrics {
 public:
  enum class Stage : std::uint8_t { parse, engine, commit_wait, write, total };
  static constexpr std::size_t stage_count = 5;

  // The lap clock: something that is measured begins or ends now.
  metrics::Ticks turn() noexcept {
    parsed_last_ = false;
    return lap_ = metrics::ticks_now();
  }
  // A question stands: its parse stage ends now.
  void parsed() noexcept {
    end(Stage::parse);
    parsed_last_ = true;
  }
  // True once after a question, as long as nothing else was measured: the last lap is this moment still.
  bool take_parsed() noexcept { return std::exchange(parsed_last_, false); }
  // When it last did.
  metrics::Ticks lap() const noexcept { return lap_; }
  // A stage that began at the last lap, or at `begin`, ends now.
  void end(Stage stage) noexcept { end(stage, lap_); }
  void end(Stage stage, metrics::Ticks begin) noexcept { observe(stage, begin, turn()); }
  void observe(Stage stage, metrics::Ticks begin, metrics::Ticks end) noexcept {
    stages_[static_cast<std::size_t>(stage)].observe(metrics::between(begin, end));
  }

  // A question is answered, one of a batch or alone.
  void answered(const Question& question) noexcept;
  // A question that was not looked at.
  void refused() noexcept { results_[static_cast<std::size_t>(Asked::overloaded)].add(); }
  void batch(std::size_t items) noexcept { batch_items_.observe(items); }
  void lock_began(bool hard) noexcept { locks_[hard ? 1 : 0].add(); }
  // The exchange's last byte is with the kernel. `shared`: where requests are counted that are no verifications.
  void sent(const Exchange& exchange, metrics::Ticks now, HttpMetrics& shared);

  void collect(metrics::Collected& into) const;

 private:
  metrics::Ticks lap_ = 0;
  bool parsed_last_ = false;
  std::array<metrics::Counter, asked_count> results_;
  std::array<metrics::DurationHistogram, stage_count> stages_;
  RouteMetrics verify_;
  RouteMetrics batch_;
  metrics::Counter repeated_;
  metrics::Counter recovery_codes_;
  std::array<metrics::Counter, 2> locks_;
  metrics::SizeHistogram batch_items_;
};

}  // namespace watchword::api
