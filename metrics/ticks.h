// A clock for measuring that costs a few nanoseconds: the processor's time-stamp counter where it counts evenly on all cores
// (invariant TSC), else the steady clock. For durations alone; deadlines and dates come from the clocks that are made for
// it.
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace watchword::metrics {

using Ticks = std::uint64_t;

namespace detail {

// How many 2^-32 nanoseconds a tick has; 0: ticks are the steady clock's nanoseconds. Written once, before the first thread
// that measures is started.
extern std::uint64_t tick_scale;

}  // namespace detail

// Once at start, before anything is measured; takes two milliseconds. Without it, ticks are the steady clock's.
void calibrate_ticks();

inline Ticks ticks_now() noexcept {
#if defined(__x86_64__)
  if (detail::tick_scale != 0) return __rdtsc();
#endif
  return static_cast<Ticks>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Never negative: two cores' counters may be a few ticks apart.
inline std::chrono::nanoseconds between(Ticks begin, Ticks end) noexcept {
  if (end <= begin) return std::chrono::nanoseconds(0);
  const Ticks ticks = end - begin;
  if (detail::tick_scale == 0) return std::chrono::nanoseconds(static_cast<std::int64_t>(ticks));
  return std::chrono::nanoseconds(
      static_cast<std::int64_t>((static_cast<unsigned __int128>(ticks) * detail::tick_scale) >> 32));
}

}  // namespace watchword::metrics
