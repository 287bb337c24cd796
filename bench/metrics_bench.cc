// What counting costs: the clock, a counter, a histogram, and all that one POST /v1/verify does with them
// (api/loop_metrics.h).
#include <benchmark/benchmark.h>

#include <array>

#include "metrics/counters.h"
#include "metrics/ticks.h"

namespace watchword::metrics {
namespace {

void clock_ticks(benchmark::State& state) {
  calibrate_ticks();
  for (auto _ : state) benchmark::DoNotOptimize(ticks_now());
}
BENCHMARK(clock_ticks);

void clock_steady(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(clock_steady);

void counter(benchmark::State& state) {
  Counter one;
  for (auto _ : state) {
    one.add();
    benchmark::ClobberMemory();
  }
}
BENCHMARK(counter);

void shared_counter(benchmark::State& state) {
  SharedCounter one;
  for (auto _ : state) one.add();
}
BENCHMARK(shared_counter);

void histogram(benchmark::State& state) {
  DurationHistogram one;
  const std::chrono::nanoseconds duration(state.range(0));
  for (auto _ : state) {
    one.observe(duration);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(histogram)->Arg(1'000)->Arg(300'000)->Arg(5'000'000);

// Four laps, five stages, the request by status with its duration, and the result.
void one_verification(benchmark::State& state) {
  calibrate_ticks();
  std::array<DurationHistogram, 6> stages;
  std::array<Counter, 2> counters;
  const std::uint64_t wait = 900'000;  // ticks: some 300 us for the disk
  for (auto _ : state) {
    const Ticks begun = ticks_now();
    const Ticks parsed = ticks_now();
    stages[0].observe(between(begun, parsed));
    const Ticks asked = ticks_now();
    stages[1].observe(between(parsed, asked));
    stages[2].observe(between(asked, asked + wait));
    const Ticks sent = ticks_now();
    stages[3].observe(between(asked, sent));
    stages[4].observe(between(begun, sent + wait));
    stages[5].observe(between(begun, sent + wait));
    for (Counter& one : counters) one.add();
    benchmark::ClobberMemory();
  }
}
BENCHMARK(one_verification);

}  // namespace
}  // namespace watchword::metrics
