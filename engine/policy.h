// What an organisation decides. A value: validated whole, replaced whole, read by every thread from one published copy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/types.h"

namespace watchword::engine {

struct Lockout {
  unsigned failures = 10;         // consecutive failures that begin to delay
  std::uint32_t delay_s_min = 1;  // first delay; doubles with each further failure
  std::uint32_t delay_s_max = 1800;
  unsigned hard_failures = 100;  // NIST SP 800-63B: no more than 100 consecutive failures
  bool operator==(const Lockout&) const = default;
};

enum class SelfRegistration : std::uint8_t { allowed, denied };
enum class NoDeviceAction : std::uint8_t { register_device, allow, deny };
enum class Prompt : std::uint8_t { always, never };
// Which verifications are in the audit trail. Locks that begin and recovery codes are in it in any case.
enum class AuditVerifications : std::uint8_t { all, refusals, none };

struct Policy {
  SelfRegistration self_registration = SelfRegistration::allowed;
  unsigned max_devices_per_user = 8;  // 1 to 8
  NoDeviceAction no_device_action = NoDeviceAction::register_device;
  Prompt prompt = Prompt::always;
  std::string issuer = "Watchword";  // 1 to 64 characters, no colon (Key URI format)
  OtpParameters defaults;
  unsigned window_steps = 1;               // each way around now + drift, 0 to 10
  unsigned registration_window_steps = 1;  // 0 to 10
  unsigned max_drift_steps = 10;           // 0 to 100; also how far a resync looks
  std::uint32_t pending_expires_s = 600;   // 60 to 86,400
  Lockout lockout;
  AuditVerifications audit_verifications = AuditVerifications::refusals;
  bool operator==(const Policy&) const = default;
};

inline constexpr unsigned devices_per_user_max = 8;
inline constexpr unsigned window_steps_max = 10;
inline constexpr unsigned drift_steps_max = 100;

struct PolicyFault {
  std::string field;   // as in the REST contract, e.g. "lockout.failures"
  std::string reason;  // what is allowed
};
// The first fault, or nothing.
std::optional<PolicyFault> validate(const Policy& policy);

}  // namespace watchword::engine
