// What the use of an API key changes, in memory: when it was used last, and how much of its rate is left. Lock-free; nothing
// is allocated.
#pragma once

#include <atomic>
#include <cstdint>

namespace watchword::api {

class KeyUse {
 public:
  // To a minute: between two minutes readers of one key write nothing, so that its cache line stays with all of them.
  static constexpr std::int64_t coarse_s = 60;

  explicit KeyUse(std::int64_t last_used_at_s) : last_used_at_s_(last_used_at_s) {}

  std::int64_t last_used_at_s() const noexcept { return last_used_at_s_.load(std::memory_order_relaxed); }

  // Relaxed: a time for people; nothing else depends on it. Of two writers either may stay: they are a moment apart.
  void note(std::int64_t now_s) noexcept {
    if (now_s - last_used_at_s() >= coarse_s) last_used_at_s_.store(now_s, std::memory_order_relaxed);
  }

  // Takes one request out of a rate, of which a second's worth may come at once. Returns 0, or in how many nanoseconds there
  // is one again. `now_ns` is of a clock that only goes forward; `interval_ns` is a second over the rate.
  //
  // The word is the moment at which all that was taken so far would have been due (the generic cell rate algorithm): one
  // compare-and-swap, no timer, no refilling.
  std::int64_t take(std::int64_t now_ns, std::int64_t interval_ns) noexcept {
    constexpr std::int64_t burst_ns = 1'000'000'000;
    // Relaxed: the word alone is shared, and the exchange makes its changes one after the other.
    std::int64_t due = due_ns_.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t from = due > now_ns ? due : now_ns;
      const std::int64_t wait = from + interval_ns - now_ns - burst_ns;
      if (wait > 0) return wait;
      if (due_ns_.compare_exchange_weak(due, from + interval_ns, std::memory_order_relaxed)) return 0;
    }
  }

 private:
  std::atomic<std::int64_t> last_used_at_s_;  // 0: never
  std::atomic<std::int64_t> due_ns_{0};
};

}  // namespace watchword::api
