// What counting costs: the clock, a counter, a histogram, and all that one POST /v1/verify does with them
// (api/loop_metrics.h).
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "api/exchange.h"
#include "api/http_metrics.h"
#include "api/loop_metrics.h"
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

// All that one POST /v1/verify of a wrong code counts, `state.range(0)` of them in a round of the loop, with the laps of its
// clock.
void one_verification(benchmark::State& state) {
  calibrate_ticks();
  const auto counts = std::make_unique<api::LoopMetrics>();
  api::HttpMetrics http;
  std::vector<api::Exchange> round(static_cast<std::size_t>(state.range(0)));
  for (api::Exchange& exchange : round) {
    exchange.verified = true;
    exchange.route = api::Route::verify;
    exchange.status = 200;
    exchange.question.standing = api::Question::Standing::answered;
    exchange.question.verdict.result = engine::Result::rejected;
  }
  using Stage = api::LoopMetrics::Stage;
  for (auto _ : state) {
    for (api::Exchange& exchange : round) {
      if (!counts->take_parsed()) counts->turn();
      exchange.begun = counts->lap();
      counts->parsed();
      exchange.question.asked = counts->lap();
    }
    counts->turn();
    for (api::Exchange& exchange : round) {
      counts->observe(Stage::engine, exchange.question.asked, counts->lap());
      counts->answered(exchange.question);
      exchange.decided = counts->lap();
    }
    for (api::Exchange& exchange : round) counts->sent(exchange, counts->turn(), http);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(one_verification)->Arg(1)->Arg(16);

}  // namespace
}  // namespace watchword::metrics
