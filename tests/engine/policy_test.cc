#include "engine/policy.h"

#include <gtest/gtest.h>

#include <functional>

namespace watchword::engine {
namespace {

TEST(Policy, TheDefaultsAreThoseOfTheContract) {
  const Policy policy;
  EXPECT_FALSE(validate(policy));
  EXPECT_EQ(policy.defaults, (OtpParameters{Algorithm::sha1, 6, 30}));
  EXPECT_EQ(policy.window_steps, 1u);
  EXPECT_EQ(policy.max_devices_per_user, 8u);
  EXPECT_EQ(policy.pending_expires_s, 600u);
  EXPECT_EQ(policy.lockout, (Lockout{10, 1, 1800, 100}));
}

TEST(Policy, EveryFieldHasBoundsAndAFaultNamesTheField) {
  const std::vector<std::pair<std::string, std::function<void(Policy&)>>> faults = {
      {"issuer", [](Policy& policy) { policy.issuer = ""; }},
      {"issuer", [](Policy& policy) { policy.issuer = "a:b"; }},
      {"issuer", [](Policy& policy) { policy.issuer = std::string(65, 'x'); }},
      {"issuer", [](Policy& policy) { policy.issuer = "a\nb"; }},
      {"digits", [](Policy& policy) { policy.defaults.digits = 5; }},
      {"digits", [](Policy& policy) { policy.defaults.digits = 9; }},
      {"period", [](Policy& policy) { policy.defaults.period_s = 14; }},
      {"period", [](Policy& policy) { policy.defaults.period_s = 301; }},
      {"max_devices_per_user", [](Policy& policy) { policy.max_devices_per_user = 0; }},
      {"max_devices_per_user", [](Policy& policy) { policy.max_devices_per_user = 9; }},
      {"window_steps", [](Policy& policy) { policy.window_steps = 11; }},
      {"registration_window_steps", [](Policy& policy) { policy.registration_window_steps = 11; }},
      {"max_drift_steps", [](Policy& policy) { policy.max_drift_steps = 101; }},
      {"pending_expires_s", [](Policy& policy) { policy.pending_expires_s = 59; }},
      {"lockout.hard_failures", [](Policy& policy) { policy.lockout.hard_failures = 101; }},
      {"lockout.failures", [](Policy& policy) { policy.lockout.failures = 0; }},
      {"lockout.failures", [](Policy& policy) { policy.lockout.failures = 101; }},
      {"lockout.delay_s_min", [](Policy& policy) { policy.lockout.delay_s_min = 1801; }},
  };
  for (const auto& [field, spoil] : faults) {
    Policy policy;
    spoil(policy);
    const auto fault = validate(policy);
    ASSERT_TRUE(fault) << field;
    EXPECT_EQ(fault->field, field);
    EXPECT_FALSE(fault->reason.empty());
  }
}

}  // namespace
}  // namespace watchword::engine
