// Codes a second of each kernel, by algorithm and number of counters in one call: one, a window of one step each way, and
// the widest window.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <vector>

#include "engine/otp.h"

namespace watchword::bench {
namespace {

using namespace engine;

void codes(benchmark::State& state, const HmacKernel* kernel) {
  if (kernel == nullptr) return state.SkipWithError("this processor lacks it");
  const auto algorithm = static_cast<Algorithm>(state.range(0));
  const auto count = static_cast<std::size_t>(state.range(1));
  alignas(8) std::uint8_t key_state[key_state_bytes_max];
  derive_key_state(algorithm, std::vector<std::uint8_t>(20, 42), key_state);
  std::vector<std::uint32_t> values(count);
  std::uint64_t counter = 56'000'000;
  for (auto _ : state) {
    kernel->truncate(algorithm, key_state, counter, count, values.data());
    benchmark::DoNotOptimize(values.data());
    counter += count;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}

void sha_extensions(benchmark::State& state) {
  codes(state, sha_extensions_kernel());
}
void openssl(benchmark::State& state) {
  codes(state, &openssl_kernel());
}

void each(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"algorithm", "counters"});
  for (const Algorithm algorithm : {Algorithm::sha1, Algorithm::sha256, Algorithm::sha512}) {
    for (const int count : {1, 2, 3, 4, 21}) bench->Args({static_cast<int>(algorithm), count});
  }
}
// One counter of each of so many keys.
void side_by_side(benchmark::State& state, SideBySide kernel) {
  if (kernel == nullptr) return state.SkipWithError("this processor lacks it");
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<std::array<std::uint8_t, 40>> states(count);
  std::vector<std::uint32_t> values(count);
  std::vector<CodeJob> jobs(count);
  for (std::size_t i = 0; i < count; ++i) {
    alignas(8) std::uint8_t key_state[key_state_bytes_max];
    derive_key_state(Algorithm::sha1, std::vector<std::uint8_t>(20, static_cast<std::uint8_t>(i)), key_state);
    std::copy_n(key_state, 40, states[i].begin());
    jobs[i] = {states[i].data(), 56'000'000, &values[i]};
  }
  for (auto _ : state) {
    kernel(jobs.data(), count);
    benchmark::DoNotOptimize(values.data());
    for (CodeJob& job : jobs) ++job.counter;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}
void avx2_many_keys(benchmark::State& state) {
  side_by_side(state, avx2_side_by_side());
}
void sha_extensions_many_keys(benchmark::State& state) {
  side_by_side(state, sha_extensions_kernel() == nullptr ? nullptr : sha_extensions_kernel()->sha1_side_by_side);
}
BENCHMARK(avx2_many_keys)->Arg(3)->Arg(8)->Arg(24);
BENCHMARK(sha_extensions_many_keys)->Arg(3)->Arg(8)->Arg(24);

BENCHMARK(sha_extensions)->Apply(each);
BENCHMARK(openssl)->Apply(each);

}  // namespace
}  // namespace watchword::bench
