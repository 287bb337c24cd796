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
  static constexpr std::chrono::nanoseconds round_max = std::chrono::milliseconds(12);
  // However much the last ones seemed to have cost: a loop that the system held up for a moment is not slow.
  static constexpr std::size_t verifications_min = 128;

  // Whether so many more are taken in this round. One request is never too much for an empty one. `now` is asked for a
  // round's first alone.
  template <class Now>
  bool take(std::size_t verifications, Now now) noexcept {
    if (taken_ == 0) {
      begun_ = now();
    } else if (taken_ + verifications > limit_) {
      return false;
    }
    taken_ += verifications;
    return true;
  }
  bool empty() const noexcept { return taken_ == 0; }
  // All that was taken is judged, and what could be answered is sent.
  void end(std::chrono::nanoseconds now) noexcept {
    constexpr std::size_t telling = 32;  // fewer say little about the cost of many
    constexpr double weight = 1.0 / 8;
    if (taken_ >= telling) {
      const double cost = static_cast<double>((now - begun_).count()) / static_cast<double>(taken_);
      cost_ns_ += (std::min(cost, cost_ns_max) - cost_ns_) * weight;
      limit_ = std::max(verifications_min, static_cast<std::size_t>(static_cast<double>(round_max.count()) / cost_ns_));
    }
    taken_ = 0;
  }
  std::size_t limit() const noexcept { return limit_; }

 private:
  static constexpr double cost_ns_max = static_cast<double>(round_max.count()) / verifications_min;
  std::chrono::nanoseconds begun_{0};
  std::size_t taken_ = 0;
  double cost_ns_ = 10'000;
  std::size_t limit_ = static_cast<std::size_t>(round_max.count()) / 10'000;
};

}  // namespace watchword::api
