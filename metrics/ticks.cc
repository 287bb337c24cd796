#include "metrics/ticks.h"

#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace watchword::metrics {
namespace detail {

std::uint64_t tick_scale = 0;

}  // namespace detail

#if defined(__x86_64__)
namespace {

// Counts at one rate whatever the core's frequency and sleep state (AMD64 and Intel manuals, CPUID 8000_0007h EDX bit 8).
bool tsc_is_invariant() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
}

struct Reading {
  Ticks ticks;
  std::chrono::steady_clock::time_point time;
};

// Of a few pairs the one whose two halves were read closest together: no interrupt came between.
Reading read_both() {
  Reading best{};
  Ticks smallest = ~Ticks{0};
  for (int i = 0; i < 8; ++i) {
    const Ticks before = __rdtsc();
    const auto time = std::chrono::steady_clock::now();
    const Ticks after = __rdtsc();
    if (after - before >= smallest) continue;
    smallest = after - before;
    best = {before + (after - before) / 2, time};
  }
  return best;
}

}  // namespace

void calibrate_ticks() {
  if (!tsc_is_invariant()) return;
  const Reading begin = read_both();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const Reading end = read_both();
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(end.time - begin.time).count();
  if (ns <= 0 || end.ticks <= begin.ticks) return;
  detail::tick_scale = static_cast<std::uint64_t>((static_cast<unsigned __int128>(ns) << 32) / (end.ticks - begin.ticks));
}
#else
void calibrate_ticks() {}
#endif

}  // namespace watchword::metrics
