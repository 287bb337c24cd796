#include "engine/words.h"

#include <algorithm>
#include <cstdlib>

#include "engine/store.h"

namespace watchword::engine {
namespace {

// Sixteenths of a step; chosen by simulating clocks that go wrong and people who type late.
constexpr std::int64_t half_step = 8;
constexpr std::int64_t edge_slack = 2;
constexpr std::int64_t near_middle = 4;
constexpr std::int64_t known_drift = 2;

int clamp_drift(std::int64_t sixteenths, int max_drift_steps) {
  const std::int64_t limit = std::min<std::int64_t>(drift_sixteenths_max, std::int64_t{16} * max_drift_steps);
  return static_cast<int>(std::clamp(sixteenths, -limit, limit));
}

// By how much a clock is ahead that is half way through `step`.
std::int64_t drift_shown(std::int64_t step, StepTime now) {
  return step * 16 + 8 - now.sixteenths;
}

std::int64_t delay_s(unsigned failures, const Lockout& policy) {
  const unsigned doublings = std::min(failures - policy.failures, 31u);
  return std::min<std::int64_t>(policy.delay_s_max, std::int64_t{policy.delay_s_min} << doublings);
}

}  // namespace

ReplayWord ReplayWord::make(std::int64_t last_step, int drift_sixteenths) {
  const std::uint64_t step = static_cast<std::uint64_t>(last_step + 1) & step_mask;
  const std::uint64_t drift = static_cast<std::uint64_t>(static_cast<std::int64_t>(drift_sixteenths)) & drift_mask;
  return {step | (drift << drift_shift)};
}

int ReplayWord::drift_steps() const {
  const int sixteenths = drift_sixteenths();
  const int whole = (std::abs(sixteenths) + 7) / 16;
  return sixteenths < 0 ? -whole : whole;
}

std::optional<ReplayWord> accept_step(ReplayWord word, std::int64_t step, StepTime now, int max_drift_steps) {
  if (step <= word.last_step()) return std::nullopt;
  const std::int64_t held = word.drift_sixteenths();
  const std::int64_t reach = std::abs(held) < known_drift ? half_step + edge_slack : near_middle;
  const std::int64_t shown = drift_shown(step, now);
  return ReplayWord::make(step, clamp_drift(std::clamp(held, shown - reach, shown + reach), max_drift_steps));
}

std::optional<ReplayWord> resync(ReplayWord word, std::int64_t second_step, StepTime now, int max_drift_steps) {
  if (second_step - 1 <= word.last_step()) return std::nullopt;
  if (std::abs(second_step - now.step()) > max_drift_steps) return std::nullopt;
  return ReplayWord::make(second_step, clamp_drift(drift_shown(second_step, now), max_drift_steps));
}

ReplayWord newer(ReplayWord a, ReplayWord b) {
  return a.last_step() > b.last_step() ? a : b;
}

// One tenth more, because the present one is already running.
std::int64_t delayed_until_ds(unsigned failures, UnixMillis now, const Lockout& policy) {
  return deciseconds(now) + 1 + 10 * delay_s(failures, policy);
}

std::optional<Lock> recovery_locked(ThrottleWord word, UnixMillis now, const Lockout& policy) {
  if (word.failures() < policy.hard_failures) return locked(word, now, policy);
  // The delay of the failure that locked hard does not hold up the first recovery code.
  if (word.failures() == policy.hard_failures) return std::nullopt;
  const std::int64_t left_ds = word.locked_until_ds() - deciseconds(now);
  if (left_ds <= 0) return std::nullopt;
  return Lock{.hard = true, .retry_after_s = static_cast<std::uint32_t>((left_ds + 9) / 10)};
}

std::optional<ThrottleWord> charge_recovery(ThrottleWord word, UnixMillis now, const Lockout& policy) {
  if (recovery_locked(word, now, policy)) return std::nullopt;
  if (word.failures() < policy.hard_failures) return charge(word, now, policy);
  const unsigned doublings = std::min(word.failures() - policy.hard_failures, 31u);
  const std::int64_t delay = std::min<std::int64_t>(policy.delay_s_max, std::int64_t{policy.delay_s_min} << doublings);
  return ThrottleWord::make(word.failures() + 1, deciseconds(now) + 1 + 10 * delay, word.next_version());
}

ThrottleWord refund(ThrottleWord word, ThrottleWord charged) {
  const unsigned failures = word.failures() > 0 ? word.failures() - 1 : 0;
  const std::int64_t until = word.locked_until_ds() == charged.locked_until_ds() ? 0 : word.locked_until_ds();
  return ThrottleWord::make(failures, until, word.next_version());
}

ThrottleWord clear(ThrottleWord word) {
  return ThrottleWord::make(0, 0, word.next_version());
}

ThrottleWord newer(ThrottleWord a, ThrottleWord b) {
  if (a.bits == 0) return b;
  if (b.bits == 0) return a;
  const std::uint32_t ahead = (a.version() - b.version()) & ThrottleWord::version_mask;
  return ahead != 0 && ahead < (ThrottleWord::version_mask + 1) / 2 ? a : b;
}

CellValue newer(std::uint32_t slot, const CellValue& a, const CellValue& b) {
  if (slot == throttle_slot) {
    return newer(ThrottleWord{a.word}, ThrottleWord{b.word}).bits == b.word ? b : a;
  }
  return newer(ReplayWord{a.word}, ReplayWord{b.word}).bits == b.word ? b : a;
}

}  // namespace watchword::engine
