// HMAC-SHA1 and HMAC-SHA256 with the x86 SHA extensions, one to four counters at a time. The instructions of one hash wait
// for each other (a chain of four-round steps), so independent counters fill the gaps.
#include "engine/otp.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("sha,sse4.1,ssse3")
#include <cpuid.h>
#include <immintrin.h>

#include "engine/otp_truncation.h"

namespace watchword::engine {
namespace {

#define WATCHWORD_INLINE inline __attribute__((always_inline))
// Lanes are held in registers only where the loops over them are unrolled, which -O2 does not do by itself for more than
// two.
#define WATCHWORD_LANES _Pragma("GCC unroll 4")

// SHA-1. A state is (a b c d) from the highest lane down, and e in the highest lane of a vector of its own; message words
// stand likewise, the first in the highest lane. So the state that one hash leaves is the message that the next one takes.
template <int N>
struct Sha1Lanes {
  __m128i abcd[N];
  __m128i e[N];
};

template <int N, int group>
WATCHWORD_INLINE void sha1_four_rounds(Sha1Lanes<N>& now, __m128i (&before)[N], __m128i (&w)[4][N]) {
  constexpr int round_function = group / 5;
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    if constexpr (group >= 4) {
      const __m128i mixed = _mm_xor_si128(_mm_sha1msg1_epu32(w[group % 4][i], w[(group + 1) % 4][i]), w[(group + 2) % 4][i]);
      w[group % 4][i] = _mm_sha1msg2_epu32(mixed, w[(group + 3) % 4][i]);
    }
    const __m128i input = group == 0 ? _mm_add_epi32(now.e[i], w[0][i]) : _mm_sha1nexte_epu32(before[i], w[group % 4][i]);
    before[i] = now.abcd[i];
    now.abcd[i] = _mm_sha1rnds4_epu32(now.abcd[i], input, round_function);
  }
  if constexpr (group < 19) sha1_four_rounds<N, group + 1>(now, before, w);
}

WATCHWORD_INLINE __m128i load_abcd(const std::uint32_t* state) {
  return _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state)), 0x1b);
}
WATCHWORD_INLINE __m128i load_e(const std::uint32_t* state) {
  return _mm_set_epi32(static_cast<int>(state[4]), 0, 0, 0);
}

// Where a lane's first state comes from: the same for all, held in registers, or each from its own key state.
struct SameState {
  explicit SameState(const std::uint32_t* state) : abcd_(load_abcd(state)), e_(load_e(state)) {}
  __m128i abcd(int) const { return abcd_; }
  __m128i e(int) const { return e_; }
  __m128i abcd_, e_;
};
template <int N>
struct OwnStates {
  __m128i abcd(int lane) const { return load_abcd(states[lane]); }
  __m128i e(int lane) const { return load_e(states[lane]); }
  const std::uint32_t* states[N];
};

// One block for each lane; the words of each lane's message in w, which is used up.
template <int N, class First>
WATCHWORD_INLINE Sha1Lanes<N> sha1_block(const First& first, __m128i (&w)[4][N]) {
  Sha1Lanes<N> now;
  __m128i before[N];
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    now.abcd[i] = first.abcd(i);
    now.e[i] = first.e(i);
  }
  sha1_four_rounds<N, 0>(now, before, w);
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    now.e[i] = _mm_sha1nexte_epu32(before[i], first.e(i));
    now.abcd[i] = _mm_add_epi32(now.abcd[i], first.abcd(i));
  }
  return now;
}

// `counter_of` and `out_of`: of each lane. The second states stand behind the first ones.
template <int N, class First, class CounterOf, class OutOf>
WATCHWORD_INLINE void sha1_codes(const First& inner_state, const First& outer_state, CounterOf counter_of, OutOf out_of) {
  __m128i w[4][N];
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    const std::uint64_t counter = counter_of(i);
    w[0][i] = _mm_set_epi32(static_cast<int>(counter >> 32), static_cast<int>(counter), static_cast<int>(0x80000000u), 0);
    w[1][i] = w[2][i] = _mm_setzero_si128();
    w[3][i] = _mm_set_epi32(0, 0, 0, (64 + 8) * 8);
  }
  const Sha1Lanes<N> inner = sha1_block<N>(inner_state, w);
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    w[0][i] = inner.abcd[i];
    w[1][i] = _mm_or_si128(inner.e[i], _mm_set_epi32(0, static_cast<int>(0x80000000u), 0, 0));
    w[2][i] = _mm_setzero_si128();
    w[3][i] = _mm_set_epi32(0, 0, 0, (64 + 20) * 8);
  }
  const Sha1Lanes<N> outer = sha1_block<N>(outer_state, w);
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    std::uint32_t digest[5];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest), _mm_shuffle_epi32(outer.abcd[i], 0x1b));
    digest[4] = static_cast<std::uint32_t>(_mm_extract_epi32(outer.e[i], 3));
    *out_of(i) = truncate_words(digest, digest[4]);
  }
}

constexpr std::size_t sha1_state_words = 5;

template <int N>
void sha1_truncate(const std::uint8_t* key_state, std::uint64_t first_counter, std::uint32_t* out) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(key_state);
  sha1_codes<N>(
      SameState(words), SameState(words + sha1_state_words),
      [&](int i) { return first_counter + static_cast<std::uint64_t>(i); }, [&](int i) { return out + i; });
}

template <int N>
void sha1_of_jobs(const CodeJob* jobs) {
  OwnStates<N> inner, outer;
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    inner.states[i] = reinterpret_cast<const std::uint32_t*>(jobs[i].key_state);
    outer.states[i] = inner.states[i] + sha1_state_words;
  }
  sha1_codes<N>(
      inner, outer, [&](int i) { return jobs[i].counter; }, [&](int i) { return jobs[i].out; });
}

void sha1_many(const CodeJob* jobs, std::size_t count) {
  for (; count >= 4; count -= 4, jobs += 4) sha1_of_jobs<4>(jobs);
  if (count == 3) sha1_of_jobs<3>(jobs);
  if (count == 2) sha1_of_jobs<2>(jobs);
  if (count == 1) sha1_of_jobs<1>(jobs);
}

// SHA-256. A state is (a b e f) and (c d g h) from the highest lane down; message words stand the other way round, the first
// in the lowest lane.
alignas(16) constexpr std::uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct Sha256State {
  __m128i abef;
  __m128i cdgh;
};

template <int N, int group>
WATCHWORD_INLINE void sha256_four_rounds(Sha256State (&now)[N], __m128i (&w)[4][N]) {
  const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(sha256_constants + 4 * group));
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    if constexpr (group >= 4) {
      const __m128i last = w[(group + 3) % 4][i];
      const __m128i middle = _mm_alignr_epi8(last, w[(group + 2) % 4][i], 4);
      const __m128i mixed = _mm_add_epi32(_mm_sha256msg1_epu32(w[group % 4][i], w[(group + 1) % 4][i]), middle);
      w[group % 4][i] = _mm_sha256msg2_epu32(mixed, last);
    }
    const __m128i input = _mm_add_epi32(w[group % 4][i], constants);
    now[i].cdgh = _mm_sha256rnds2_epu32(now[i].cdgh, now[i].abef, input);
    now[i].abef = _mm_sha256rnds2_epu32(now[i].abef, now[i].cdgh, _mm_shuffle_epi32(input, 0x0e));
  }
  if constexpr (group < 15) sha256_four_rounds<N, group + 1>(now, w);
}

template <int N>
WATCHWORD_INLINE void sha256_block(Sha256State first, Sha256State (&now)[N], __m128i (&w)[4][N]) {
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) now[i] = first;
  sha256_four_rounds<N, 0>(now, w);
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    now[i].abef = _mm_add_epi32(now[i].abef, first.abef);
    now[i].cdgh = _mm_add_epi32(now[i].cdgh, first.cdgh);
  }
}

WATCHWORD_INLINE Sha256State sha256_load(const std::uint32_t* words) {
  const __m128i low = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(words)), 0xb1);
  const __m128i high = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(words + 4)), 0x1b);
  return {_mm_alignr_epi8(low, high, 8), _mm_blend_epi16(high, low, 0xf0)};
}

struct Sha256Digest {
  __m128i first;   // words 0-3, the first in the lowest lane
  __m128i second;  // words 4-7
};
WATCHWORD_INLINE Sha256Digest sha256_words(Sha256State state) {
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  return {_mm_blend_epi16(feba, dchg, 0xf0), _mm_alignr_epi8(dchg, feba, 8)};
}

template <int N>
void sha256_truncate(const std::uint8_t* key_state, std::uint64_t first_counter, std::uint32_t* out) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(key_state);
  __m128i w[4][N];
  Sha256State now[N];
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    const std::uint64_t counter = first_counter + static_cast<std::uint64_t>(i);
    w[0][i] = _mm_set_epi32(0, static_cast<int>(0x80000000u), static_cast<int>(counter), static_cast<int>(counter >> 32));
    w[1][i] = w[2][i] = _mm_setzero_si128();
    w[3][i] = _mm_set_epi32((64 + 8) * 8, 0, 0, 0);
  }
  sha256_block<N>(sha256_load(words), now, w);
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    const Sha256Digest inner = sha256_words(now[i]);
    w[0][i] = inner.first;
    w[1][i] = inner.second;
    w[2][i] = _mm_set_epi32(0, 0, 0, static_cast<int>(0x80000000u));
    w[3][i] = _mm_set_epi32((64 + 32) * 8, 0, 0, 0);
  }
  sha256_block<N>(sha256_load(words + 8), now, w);
  WATCHWORD_LANES
  for (int i = 0; i < N; ++i) {
    const Sha256Digest outer = sha256_words(now[i]);
    std::uint32_t digest[8];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest), outer.first);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(digest + 4), outer.second);
    out[i] = truncate_words(digest, digest[7]);
  }
}

using Lanes = void (*)(const std::uint8_t*, std::uint64_t, std::uint32_t*);

// Fours as long as they last, then the rest at once: a window of three is one triple.
void in_lanes(const Lanes (&by_count)[5], const std::uint8_t* key_state, std::uint64_t counter, std::size_t count,
              std::uint32_t* out) {
  for (; count > 4; count -= 4, counter += 4, out += 4) by_count[4](key_state, counter, out);
  if (count > 0) by_count[count](key_state, counter, out);
}

void truncate_extended(Algorithm algorithm, const std::uint8_t* key_state, std::uint64_t first_counter, std::size_t count,
                       std::uint32_t* out) {
  static constexpr Lanes sha1[5] = {nullptr, sha1_truncate<1>, sha1_truncate<2>, sha1_truncate<3>, sha1_truncate<4>};
  static constexpr Lanes sha256[5] = {nullptr, sha256_truncate<1>, sha256_truncate<2>, sha256_truncate<3>,
                                      sha256_truncate<4>};
  switch (algorithm) {
    case Algorithm::sha1:
      return in_lanes(sha1, key_state, first_counter, count, out);
    case Algorithm::sha256:
      return in_lanes(sha256, key_state, first_counter, count, out);
    case Algorithm::sha512:
      return openssl_kernel().truncate(algorithm, key_state, first_counter, count, out);
  }
}

bool processor_has_sha() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const bool sse = (ecx & bit_SSSE3) != 0 && (ecx & bit_SSE4_1) != 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return sse && (ebx & bit_SHA) != 0;
}

}  // namespace

const HmacKernel* sha_extensions_kernel() {
  static constexpr HmacKernel kernel{"sha extensions", truncate_extended, sha1_many};
  static const bool available = processor_has_sha();
  return available ? &kernel : nullptr;
}

}  // namespace watchword::engine
#pragma GCC pop_options

#else

namespace watchword::engine {
const HmacKernel* sha_extensions_kernel() {
  return nullptr;
}
}  // namespace watchword::engine

#endif
