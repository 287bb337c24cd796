// The two words that decide everything, and their pure transitions: word -> word or refusal. Memory, folding and recovery
// use these functions and no others, so a rule is written once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/policy.h"
#include "engine/types.h"

namespace watchword::engine {

// Replay word of a device, 64 bits:
//   bits  0-39  last accepted step + 1; zero: none accepted yet (40 bits of 15 s steps last half a million years)
//   bits 40-51  learned drift in sixteenths of a step, two's complement
//   bit  63     frozen: the record that holds the word is being replaced; look the user up again
struct ReplayWord {
  std::uint64_t bits = 0;
  bool operator==(const ReplayWord&) const = default;

  static ReplayWord make(std::int64_t last_step, int drift_sixteenths);
  bool used() const { return (bits & step_mask) != 0; }
  // Step last accepted, or -1.
  std::int64_t last_step() const { return static_cast<std::int64_t>(bits & step_mask) - 1; }
  int drift_sixteenths() const;
  // Whole steps by which the device's clock is ahead (+) or behind (-), rounded half towards zero.
  int drift_steps() const;
  bool frozen() const { return (bits & frozen_bit) != 0; }
  ReplayWord thawed() const { return {bits & ~frozen_bit}; }

  static constexpr int drift_shift = 40;
  static constexpr std::uint64_t drift_mask = 0xfff;
  static constexpr std::uint64_t step_mask = (std::uint64_t{1} << drift_shift) - 1;
  static constexpr std::uint64_t frozen_bit = std::uint64_t{1} << 63;
};

inline constexpr int drift_sixteenths_max = 2047;

// A moment of the server's clock on the scale of a device: sixteenths of a step since the epoch.
struct StepTime {
  std::int64_t sixteenths = 0;
  std::int64_t step() const { return sixteenths >> 4; }
};
StepTime step_time_at(UnixMillis now, std::uint16_t period_s);

// The step that the device shows at `now`, by what is known of its drift. A window lies around it.
std::int64_t expected_step(ReplayWord word, StepTime now);

// Accepting `step` at `now`. Refused (nullopt) when the step is not after the last one: replayed.
//
// A device that shows `step` says that its clock is somewhere in it: an interval of one step that the drift must lie in.
// While no drift is known, it moves no further than to that interval's edge, a little less: one code that was typed late
// does not move the window. Once there is one, it follows to near the interval's middle, so that a clock which keeps going
// wrong is followed. Never beyond `max_drift_steps`.
std::optional<ReplayWord> accept_step(ReplayWord word, std::int64_t step, StepTime now, int max_drift_steps);

// Resynchronisation: two consecutive steps were proven, `second_step` is consumed and the drift set outright. Refused when
// the first of them is not after the last accepted one, or the drift is beyond the limit.
std::optional<ReplayWord> resync(ReplayWord word, std::int64_t second_step, StepTime now, int max_drift_steps);

// Of two values of one replay word, the one that came later. A step never goes back, so the greater step wins.
ReplayWord newer(ReplayWord a, ReplayWord b);

// Throttle word of a user, 64 bits:
//   bits  0-6   consecutive failures (0..127; capped)
//   bits  7-42  locked until, in tenths of a second since the epoch; zero: not locked
//   bits 43-62  version, counts transitions modulo 2^20, so that of two values the later is known
//   bit  63     frozen
struct ThrottleWord {
  std::uint64_t bits = 0;
  bool operator==(const ThrottleWord&) const = default;

  static ThrottleWord make(unsigned failures, std::int64_t locked_until_ds, std::uint32_t version);
  unsigned failures() const { return static_cast<unsigned>(bits & 0x7f); }
  std::int64_t locked_until_ds() const { return static_cast<std::int64_t>((bits >> 7) & ((std::uint64_t{1} << 36) - 1)); }
  std::uint32_t version() const { return static_cast<std::uint32_t>((bits >> 43) & 0xfffff); }
  // Never zero, so that a word of nothing but zeros is always the one that was never written.
  std::uint32_t next_version() const;
  bool frozen() const { return (bits & ReplayWord::frozen_bit) != 0; }
  ThrottleWord thawed() const { return {bits & ~ReplayWord::frozen_bit}; }

  static constexpr unsigned failures_counted_max = 0x7f;
  static constexpr std::int64_t deciseconds_max = (std::int64_t{1} << 36) - 1;
  static constexpr std::uint32_t version_mask = 0xfffff;
};

struct Lock {
  bool hard = false;                // no time lifts it
  std::uint32_t retry_after_s = 0;  // at least 1 unless hard
};
// Whether the word refuses attempts at `now`.
std::optional<Lock> locked(ThrottleWord word, UnixMillis now, const Lockout& policy);

// When the lock ends that begins with so many failures, no fewer than policy.failures.
std::int64_t delayed_until_ds(unsigned failures, UnixMillis now, const Lockout& policy);
// Charges one attempt, before the code is looked at. nullopt: locked, nothing charged. Reaching the limit locks at once.
std::optional<ThrottleWord> charge(ThrottleWord word, UnixMillis now, const Lockout& policy);
// The same for a recovery code, which alone may be tried while the word is hard locked: each such attempt counts on beyond
// the hard limit and holds up the next one, for twice as long every time (delay_s_min to delay_s_max). The count and the
// time stand in the word, so no restart forgets them. nullopt from charge_recovery: recovery_locked says for how long.
std::optional<Lock> recovery_locked(ThrottleWord word, UnixMillis now, const Lockout& policy);
std::optional<ThrottleWord> charge_recovery(ThrottleWord word, UnixMillis now, const Lockout& policy);
// Takes back one charge whose word became `charged` (a replay is no guess). Lifts the lock only if that very charge set it.
ThrottleWord refund(ThrottleWord word, ThrottleWord charged);
// A success or an administrator: no failures, no lock.
ThrottleWord clear(ThrottleWord word);
// Of two values of one throttle word, the one with the later version (modulo 2^20, within half of it).
ThrottleWord newer(ThrottleWord a, ThrottleWord b);

// What every verification goes through, where its callers can inline it.

inline int ReplayWord::drift_sixteenths() const {
  const int raw = static_cast<int>((bits >> drift_shift) & drift_mask);
  return raw >= 0x800 ? raw - 0x1000 : raw;
}

inline StepTime step_time_at(UnixMillis now, std::uint16_t period_s) {
  if (now.value < 0) return {};
  // Nearly every device has this period (RFC 6238 section 4.1), and by a constant it is a multiplication.
  if (period_s == 30) return {now.value * 16 / 30'000};
  return {now.value * 16 / (std::int64_t{1000} * period_s)};
}

inline std::int64_t expected_step(ReplayWord word, StepTime now) {
  return (now.sixteenths + word.drift_sixteenths()) >> 4;
}

inline std::int64_t deciseconds(UnixMillis now) {
  return now.value / 100;
}

inline ThrottleWord ThrottleWord::make(unsigned failures, std::int64_t locked_until_ds, std::uint32_t version) {
  const auto until = static_cast<std::uint64_t>(std::clamp<std::int64_t>(locked_until_ds, 0, deciseconds_max));
  return {std::min(failures, failures_counted_max) | (until << 7) |
          (static_cast<std::uint64_t>(version & version_mask) << 43)};
}

inline std::uint32_t ThrottleWord::next_version() const {
  const std::uint32_t next = (version() + 1) & version_mask;
  return next == 0 ? 1 : next;
}

inline std::optional<Lock> locked(ThrottleWord word, UnixMillis now, const Lockout& policy) {
  if (word.failures() >= policy.hard_failures) return Lock{.hard = true, .retry_after_s = 0};
  const std::int64_t left_ds = word.locked_until_ds() - deciseconds(now);
  if (word.locked_until_ds() == 0 || left_ds <= 0) return std::nullopt;
  return Lock{.hard = false, .retry_after_s = static_cast<std::uint32_t>((left_ds + 9) / 10)};
}

inline std::optional<ThrottleWord> charge(ThrottleWord word, UnixMillis now, const Lockout& policy) {
  if (locked(word, now, policy)) return std::nullopt;
  const unsigned failures = word.failures() + 1;
  return ThrottleWord::make(failures, failures >= policy.failures ? delayed_until_ds(failures, now, policy) : 0,
                            word.next_version());
}

}  // namespace watchword::engine
