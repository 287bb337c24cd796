#include "engine/policy.h"

#include <algorithm>

namespace watchword::engine {
namespace {

constexpr std::size_t issuer_characters_max = 64;
constexpr std::uint32_t pending_expires_s_min = 60;
constexpr std::uint32_t pending_expires_s_max = 86'400;
constexpr std::uint32_t delay_s_limit = 86'400;
constexpr unsigned hard_failures_limit = 100;

struct Bound {
  const char* field;
  std::uint64_t value, min, max;
};

}  // namespace

std::optional<PolicyFault> validate(const Policy& policy) {
  const std::optional<std::size_t> issuer = printable_utf8_length(policy.issuer);
  if (!issuer || *issuer < 1 || *issuer > issuer_characters_max || policy.issuer.find(':') != std::string::npos) {
    return PolicyFault{"issuer", "1 to 64 characters, without a colon and without control characters"};
  }
  const Lockout& lockout = policy.lockout;
  const Bound bounds[] = {
      {"max_devices_per_user", policy.max_devices_per_user, 1, devices_per_user_max},
      {"digits", policy.defaults.digits, digits_min, digits_max},
      {"period", policy.defaults.period_s, period_s_min, period_s_max},
      {"window_steps", policy.window_steps, 0, window_steps_max},
      {"registration_window_steps", policy.registration_window_steps, 0, window_steps_max},
      {"max_drift_steps", policy.max_drift_steps, 0, drift_steps_max},
      {"pending_expires_s", policy.pending_expires_s, pending_expires_s_min, pending_expires_s_max},
      {"lockout.hard_failures", lockout.hard_failures, 1, hard_failures_limit},
      {"lockout.failures", lockout.failures, 1, lockout.hard_failures},
      {"lockout.delay_s_max", lockout.delay_s_max, 1, delay_s_limit},
      {"lockout.delay_s_min", lockout.delay_s_min, 1, lockout.delay_s_max},
  };
  for (const Bound& bound : bounds) {
    if (bound.value >= bound.min && bound.value <= bound.max) continue;
    return PolicyFault{bound.field, std::to_string(bound.min) + " to " + std::to_string(bound.max)};
  }
  return std::nullopt;
}

}  // namespace watchword::engine
