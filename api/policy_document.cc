#include "api/policy_document.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <boost/json.hpp>

namespace watchword::api {
namespace {

namespace json = boost::json;

template <class T>
using Choices = std::span<const std::pair<T, std::string_view>>;

constexpr std::array<std::pair<engine::SelfRegistration, std::string_view>, 2> self_registrations = {
    {{engine::SelfRegistration::allowed, "allowed"}, {engine::SelfRegistration::denied, "denied"}}};
constexpr std::array<std::pair<engine::NoDeviceAction, std::string_view>, 3> no_device_actions = {
    {{engine::NoDeviceAction::register_device, "register"},
     {engine::NoDeviceAction::allow, "allow"},
     {engine::NoDeviceAction::deny, "deny"}}};
constexpr std::array<std::pair<engine::Prompt, std::string_view>, 2> prompts = {
    {{engine::Prompt::always, "always"}, {engine::Prompt::never, "never"}}};
constexpr std::array<std::pair<engine::AuditVerifications, std::string_view>, 3> audit_choices = {
    {{engine::AuditVerifications::all, "all"},
     {engine::AuditVerifications::refusals, "refusals"},
     {engine::AuditVerifications::none, "none"}}};
constexpr std::array<std::pair<engine::Algorithm, std::string_view>, 3> algorithms = {
    {{engine::Algorithm::sha1, "SHA1"}, {engine::Algorithm::sha256, "SHA256"}, {engine::Algorithm::sha512, "SHA512"}}};

template <class T>
std::string_view name_of(T value, Choices<T> choices) {
  return std::find_if(choices.begin(), choices.end(), [&](const auto& choice) { return choice.first == value; })->second;
}

enum class Absent { is_a_fault, keeps_its_value };

class PolicyReader {
 public:
  PolicyReader(JsonFields& fields, Absent absent) : fields_(fields), absent_(absent) {}

  bool wants(std::string_view name) const { return absent_ == Absent::is_a_fault || fields_.has(name); }

  // A number that the type cannot hold becomes the type's largest, which validate() finds out of range everywhere.
  template <class T>
  void number(std::string_view name, T& target) {
    if (!wants(name)) return;
    const std::int64_t value = fields_.integer(name);
    target = std::in_range<T>(value) ? static_cast<T>(value) : std::numeric_limits<T>::max();
  }

  template <class T>
  void choice(std::string_view name, T& target, Choices<T> choices) {
    if (!wants(name)) return;
    const std::string text = fields_.text(name);
    std::string allowed;
    for (const auto& [value, value_name] : choices) {
      if (text == value_name) {
        target = value;
        return;
      }
      allowed += fmt::format("{}\"{}\"", allowed.empty() ? "" : ", ", value_name);
    }
    fields_.refuse(name, fmt::format("\"{}\" must be one of {}.", name, allowed), 422);
  }

  void text(std::string_view name, std::string& target) {
    if (wants(name)) target = fields_.text(name);
  }

 private:
  JsonFields& fields_;
  Absent absent_;
};

tl::expected<engine::Policy, RequestFault> read(std::string_view text, engine::Policy policy, Absent absent) {
  JsonFields fields(text);
  PolicyReader reader(fields, absent);
  reader.choice("self_registration", policy.self_registration, Choices<engine::SelfRegistration>(self_registrations));
  reader.number("max_devices_per_user", policy.max_devices_per_user);
  reader.choice("no_device_action", policy.no_device_action, Choices<engine::NoDeviceAction>(no_device_actions));
  reader.choice("prompt", policy.prompt, Choices<engine::Prompt>(prompts));
  reader.text("issuer", policy.issuer);
  reader.choice("algorithm", policy.defaults.algorithm, Choices<engine::Algorithm>(algorithms));
  reader.number("digits", policy.defaults.digits);
  reader.number("period", policy.defaults.period_s);
  reader.number("window_steps", policy.window_steps);
  reader.number("registration_window_steps", policy.registration_window_steps);
  reader.number("max_drift_steps", policy.max_drift_steps);
  reader.number("pending_expires_s", policy.pending_expires_s);
  if (reader.wants("lockout")) {
    PolicyReader lockout(fields.object("lockout"), absent);
    lockout.number("failures", policy.lockout.failures);
    lockout.number("delay_s_min", policy.lockout.delay_s_min);
    lockout.number("delay_s_max", policy.lockout.delay_s_max);
    lockout.number("hard_failures", policy.lockout.hard_failures);
  }
  // Who writes policies from before there was this field leaves it out.
  if (fields.has("audit_verifications")) {
    reader.choice("audit_verifications", policy.audit_verifications, Choices<engine::AuditVerifications>(audit_choices));
  }
  if (std::optional<RequestFault> fault = fields.finish()) return tl::unexpected(std::move(*fault));
  if (std::optional<engine::PolicyFault> fault = validate(policy)) {
    return tl::unexpected(RequestFault{.field = fault->field, .detail = fault->reason, .status = 422});
  }
  return policy;
}

}  // namespace

std::string policy_document(const engine::Policy& policy) {
  return json::serialize(json::object{
      {"self_registration", name_of(policy.self_registration, Choices<engine::SelfRegistration>(self_registrations))},
      {"max_devices_per_user", policy.max_devices_per_user},
      {"no_device_action", name_of(policy.no_device_action, Choices<engine::NoDeviceAction>(no_device_actions))},
      {"prompt", name_of(policy.prompt, Choices<engine::Prompt>(prompts))},
      {"issuer", policy.issuer},
      {"algorithm", to_string(policy.defaults.algorithm)},
      {"digits", policy.defaults.digits},
      {"period", policy.defaults.period_s},
      {"window_steps", policy.window_steps},
      {"registration_window_steps", policy.registration_window_steps},
      {"max_drift_steps", policy.max_drift_steps},
      {"pending_expires_s", policy.pending_expires_s},
      {"lockout",
       {{"failures", policy.lockout.failures},
        {"delay_s_min", policy.lockout.delay_s_min},
        {"delay_s_max", policy.lockout.delay_s_max},
        {"hard_failures", policy.lockout.hard_failures}}},
      {"audit_verifications", name_of(policy.audit_verifications, Choices<engine::AuditVerifications>(audit_choices))}});
}

std::string policy_etag(const engine::Policy& policy) {
  constexpr std::size_t tag_bytes = 16;  // of the digest: enough that two policies never meet
  const std::string text = policy_document(policy);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
  return fmt::format("\"{:02x}\"", fmt::join(digest.begin(), digest.begin() + tag_bytes, ""));
}

tl::expected<engine::Policy, RequestFault> parse_policy(std::string_view text) {
  return read(text, {}, Absent::is_a_fault);
}

engine::Policy load_policy(engine::Store& store, engine::Policy fallback) {
  const std::optional<std::string> text = store.document(policy_document_name);
  if (!text) return fallback;
  tl::expected<engine::Policy, RequestFault> policy = read(*text, std::move(fallback), Absent::keeps_its_value);
  if (!policy) {
    throw engine::StoreError("the stored policy cannot be read: " + policy.error().field + ": " + policy.error().detail);
  }
  return std::move(*policy);
}

}  // namespace watchword::api
