// What a loop takes on before it answers: as many verifications as it will be through with in a bounded time, by what they
// cost it lately. Whatever is beyond that is refused at once, so that nobody waits behind a queue that grows.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace watchword::api {

class RoundBudget {
 public:
  static constexpr std::chrono::nanoseconds round_max = std::chrono::milliseconds(8);
  // A full round that took longer has left much to be refused, which grows old: the next one is short. A refusal costs
  // little beside a verification, so the loop soon is where its clients are.
  static constexpr std::chrono::nanoseconds late_after = round_max * 3 / 2;
  // While more than a third of the rounds refuse somebody, rounds half as long take on and refuse as much in all, sooner.
  // Not for the sake of a burst that one round has no room for: the next one may well have it.
  static constexpr unsigned crowd_refusing = 2, crowd_least = 4, crowd_most = 8;
  // However much the last ones seemed to have cost: a loop that the system held up for a moment is not slow.
  static constexpr std::size_t verifications_min = 128;

  // While it is not full(). `now` is asked for a round's first alone.
  template <class Now>
  void take_one(Now now) noexcept {
    take(1, now);
  }
  // A batch's share of reading and sending is small beside its items': they count for a part of one, and say nothing about
  // what one costs.
  template <class Now>
  void take_batch(std::size_t items, Now now) noexcept {
    take(1 + items / items_per_verification, now);
    untypical_ = true;
  }
  bool full() const noexcept { return taken_ > 0 && (timed_out_ || has_all()); }
  // Somebody was, since it is full().
  void refused() noexcept { refused_ = true; }
  // Somebody was whom it had taken, since the committer's queue or that of the trail's notes has no room. That costs next to
  // nothing, and so says nothing about what a verification costs.
  void refused_taken() noexcept { refused_ = untypical_ = true; }
  bool empty() const noexcept { return taken_ == 0; }
  // Some of what was taken is judged. Where others had the core meanwhile a round that has taken on much is over by the
  // clock: whoever is refused in it waits no longer for that. Nobody is refused because of a moment's pause.
  template <class Now>
  void look_at_clock(Now now) noexcept {
    if (taken_ >= short_limit() && now() - begun_ >= (crowded() ? round_max / 2 : round_max)) timed_out_ = true;
  }
  // All that was taken is judged, and what could be answered is sent.
  void end(std::chrono::nanoseconds now) noexcept {
    constexpr std::size_t telling = 32;  // fewer say little about the cost of many
    constexpr double weight = 1.0 / 8;
    const std::chrono::nanoseconds spent = now - begun_;
    const bool late = (refused_ || has_all()) && spent > (crowded() ? late_after / 2 : late_after);
    // What the verifications of a short round, or of one that the clock ended, seem to cost is what refusals did, or others.
    // Of one that is late all the same, a part is believed.
    const bool cut = short_ || timed_out_;
    if (taken_ >= telling && !untypical_ && (!cut || late)) {
      const double seeming = static_cast<double>(spent.count()) / static_cast<double>(taken_);
      const double cost = cut ? std::min(seeming, 2 * cost_ns_) : seeming;
      cost_ns_ += (std::min(cost, cost_ns_max) - cost_ns_) * weight;
      limit_ = std::max(verifications_min, static_cast<std::size_t>(static_cast<double>(round_max.count()) / cost_ns_));
    }
    short_ = late;
    crowd_ = refused_ ? std::min(crowd_ + crowd_refusing, crowd_most) : crowd_ - std::min(crowd_, 1U);
    ended_ = now;
    taken_ = 0;
    untypical_ = timed_out_ = refused_ = false;
  }
  std::size_t limit() const noexcept { return limit_; }

 private:
  static constexpr std::size_t items_per_verification = 6;
  bool has_all() const noexcept { return taken_ >= (short_ ? short_limit() : crowded() ? crowded_limit() : limit_); }
  bool crowded() const noexcept { return crowd_ >= crowd_least; }
  std::size_t crowded_limit() const noexcept { return std::max(verifications_min, limit_ / 2); }
  std::size_t short_limit() const noexcept { return std::max(verifications_min, limit_ / 4); }
  template <class Now>
  void take(std::size_t verifications, Now now) noexcept {
    if (taken_ == 0) {
      begun_ = now();
      if (begun_ - ended_ > forgiven_after) {
        short_ = false;
        crowd_ = 0;
      }
    }
    taken_ += verifications;
  }

  static constexpr double cost_ns_max = static_cast<double>(round_max.count()) / verifications_min;
  static constexpr std::chrono::nanoseconds forgiven_after =
      10 * round_max;  // without a round there is nothing to catch up with
  std::chrono::nanoseconds begun_{0}, ended_{0};
  std::size_t taken_ = 0;
  bool untypical_ = false;  // with batches, or with some that a queue had no room for
  bool short_ = false;
  bool timed_out_ = false;
  bool refused_ = false;
  unsigned crowd_ = 0;  // up with each round that refuses, down with each that does not
  double cost_ns_ = 10'000;
  std::size_t limit_ = static_cast<std::size_t>(round_max.count()) / 10'000;
};

}  // namespace watchword::api
