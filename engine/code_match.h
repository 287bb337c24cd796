// Which steps of a device are looked at, and which of them has the code. For attempt.h alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/otp.h"
#include "engine/policy.h"
#include "engine/resident_user.h"
#include "engine/words.h"

namespace watchword::engine {

// Codes of one attempt: all devices over all steps. Bounded by policy's own bounds.
inline constexpr std::size_t steps_max = 2 * window_steps_max + 1;

struct Match {
  ResidentDevice* device;
  StepTime now;
  std::int64_t first;  // the steps that are looked at
  std::size_t count;
  std::int64_t step;  // the newest one that has the code; -1: none
};

// The window around now + drift.
inline void look_around(Match& match, UnixMillis now, unsigned window_steps) {
  match.now = step_time_at(now, match.device->period_s);
  const std::int64_t centre = expected_step(ReplayWord{match.device->replay.word()}, match.now);
  match.first = std::max<std::int64_t>(0, centre - window_steps);
  const std::int64_t last = std::max<std::int64_t>(match.first, centre + window_steps);
  match.count = static_cast<std::size_t>(last - match.first + 1);
}

// All of them, compared without an early exit.
template <class Modulus>
inline void compare_modulo(Match& match, const std::uint32_t* values, Code code, Modulus modulus) {
  match.step = -1;
  for (std::size_t i = 0; i < match.count; ++i) {
    const std::uint32_t difference = values[i] % modulus ^ code.value;
    // All ones where equal: no branch on the code.
    const std::int64_t equal = -static_cast<std::int64_t>((static_cast<std::uint64_t>(difference) - 1) >> 63);
    match.step = (match.step & ~equal) | ((match.first + static_cast<std::int64_t>(i)) & equal);
  }
}
inline void compare(Match& match, const std::uint32_t* values, Code code) {
  // Six digits are what nearly everybody has, and a remainder by a constant is a multiplication.
  if (match.device->digits == 6)
    return compare_modulo(match, values, code, std::integral_constant<std::uint32_t, 1'000'000>{});
  compare_modulo(match, values, code, code_modulus(match.device->digits));
}

// What several attempts have computed together.
struct SharedCodes {
  static constexpr std::size_t codes_max = 256;
  static constexpr std::size_t worth_it = 4;
  CodeJob jobs[codes_max];
  std::uint32_t values[codes_max];
  std::size_t count = 0;
};

}  // namespace watchword::engine
