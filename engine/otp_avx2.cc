// HMAC-SHA1 of eight keys side by side in 256-bit vectors (AVX2), for processors without the SHA extensions: where those are
// there, four lanes of theirs are quicker.
#include "engine/otp.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "engine/otp_truncation.h"

namespace watchword::engine {
namespace {

#define WATCHWORD_INLINE inline __attribute__((always_inline))

constexpr std::size_t lanes = 8;
using Lanes = __m256i;

WATCHWORD_INLINE Lanes add(Lanes a, Lanes b) {
  return _mm256_add_epi32(a, b);
}
template <int bits>
WATCHWORD_INLINE Lanes rotate(Lanes x) {
  return _mm256_or_si256(_mm256_slli_epi32(x, bits), _mm256_srli_epi32(x, 32 - bits));
}
WATCHWORD_INLINE Lanes all(std::uint32_t word) {
  return _mm256_set1_epi32(static_cast<int>(word));
}

struct Sha1State {
  Lanes a, b, c, d, e;
};

template <int round>
WATCHWORD_INLINE Lanes mix(Lanes b, Lanes c, Lanes d) {
  if constexpr (round < 20) return _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d)));
  if constexpr (round >= 40 && round < 60) {
    return add(_mm256_and_si256(b, c), _mm256_and_si256(d, _mm256_xor_si256(b, c)));
  }
  return _mm256_xor_si256(b, _mm256_xor_si256(c, d));
}

// Rounds `round` to 79; the sixteen words that the next rounds take in `w`, as a ring.
template <int round>
WATCHWORD_INLINE void sha1_rounds(Sha1State& s, Lanes (&w)[16]) {
  constexpr std::uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
  if constexpr (round >= 16) {
    const Lanes mixed = _mm256_xor_si256(_mm256_xor_si256(w[(round + 13) % 16], w[(round + 8) % 16]),
                                         _mm256_xor_si256(w[(round + 2) % 16], w[round % 16]));
    w[round % 16] = rotate<1>(mixed);
  }
  const Lanes input = add(w[round % 16], all(constants[round / 20]));
  const Lanes next = add(add(rotate<5>(s.a), mix<round>(s.b, s.c, s.d)), add(s.e, input));
  s = {next, s.a, rotate<30>(s.b), s.c, s.d};
  if constexpr (round < 79) sha1_rounds<round + 1>(s, w);
}

WATCHWORD_INLINE Sha1State sha1_block(const Sha1State& first, Lanes (&w)[16]) {
  Sha1State s = first;
  sha1_rounds<0>(s, w);
  return {add(s.a, first.a), add(s.b, first.b), add(s.c, first.c), add(s.d, first.d), add(s.e, first.e)};
}

// The five words at `offset` of every job's key state, one vector a word.
WATCHWORD_INLINE Sha1State load_states(const CodeJob* jobs, std::size_t offset) {
  alignas(32) std::uint32_t words[5][lanes];
  for (std::size_t i = 0; i < lanes; ++i) {
    std::uint32_t state[5];
    std::memcpy(state, jobs[i].key_state + offset, sizeof state);
    for (std::size_t k = 0; k < 5; ++k) words[k][i] = state[k];
  }
  const auto load = [&](std::size_t k) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(words[k])); };
  return {load(0), load(1), load(2), load(3), load(4)};
}

void sha1_eight(const CodeJob* jobs) {
  constexpr std::size_t state_bytes = 20;
  alignas(32) std::uint32_t counter_high[lanes], counter_low[lanes];
  for (std::size_t i = 0; i < lanes; ++i) {
    counter_high[i] = static_cast<std::uint32_t>(jobs[i].counter >> 32);
    counter_low[i] = static_cast<std::uint32_t>(jobs[i].counter);
  }
  Lanes w[16];
  w[0] = _mm256_load_si256(reinterpret_cast<const __m256i*>(counter_high));
  w[1] = _mm256_load_si256(reinterpret_cast<const __m256i*>(counter_low));
  w[2] = all(0x80000000u);
  for (std::size_t i = 3; i < 15; ++i) w[i] = _mm256_setzero_si256();
  w[15] = all((64 + 8) * 8);
  const Sha1State inner = sha1_block(load_states(jobs, 0), w);
  w[0] = inner.a;
  w[1] = inner.b;
  w[2] = inner.c;
  w[3] = inner.d;
  w[4] = inner.e;
  w[5] = all(0x80000000u);
  for (std::size_t i = 6; i < 15; ++i) w[i] = _mm256_setzero_si256();
  w[15] = all((64 + 20) * 8);
  const Sha1State outer = sha1_block(load_states(jobs, state_bytes), w);
  alignas(32) std::uint32_t digests[5][lanes];
  const auto store = [&](std::size_t k, Lanes word) { _mm256_store_si256(reinterpret_cast<__m256i*>(digests[k]), word); };
  store(0, outer.a);
  store(1, outer.b);
  store(2, outer.c);
  store(3, outer.d);
  store(4, outer.e);
  for (std::size_t i = 0; i < lanes; ++i) {
    const std::uint32_t digest[5] = {digests[0][i], digests[1][i], digests[2][i], digests[3][i], digests[4][i]};
    *jobs[i].out = truncate_words(digest, digest[4]);
  }
}

// A last, shorter group is filled up with its last job.
void sha1_many(const CodeJob* jobs, std::size_t count) {
  for (; count >= lanes; count -= lanes, jobs += lanes) sha1_eight(jobs);
  if (count == 0) return;
  CodeJob filled[lanes];
  for (std::size_t i = 0; i < lanes; ++i) filled[i] = jobs[std::min(i, count - 1)];
  sha1_eight(filled);
}

bool processor_has_avx2() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & bit_OSXSAVE) == 0) return false;
  return __builtin_cpu_supports("avx2") != 0;
}

}  // namespace

SideBySide avx2_side_by_side() {
  static const bool available = processor_has_avx2();
  return available ? sha1_many : nullptr;
}

}  // namespace watchword::engine
#pragma GCC pop_options

#else

namespace watchword::engine {
SideBySide avx2_side_by_side() {
  return nullptr;
}
}  // namespace watchword::engine

#endif
