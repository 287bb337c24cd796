#include "api/admin_answers.h"

#include <boost/json.hpp>

#include "api/admin_json.h"
#include "api/if_match.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

struct Wording {
  unsigned status;
  std::string_view detail;
  std::string_view field = {};
};

Wording wording(engine::Refusal refusal) {
  using engine::Refusal;
  switch (refusal) {
    case Refusal::user_not_found:
      return {404, "There is no user of that name. Users come into being with their first device."};
    case Refusal::device_not_found:
      return {404, "The user has no device with that id."};
    case Refusal::name_taken:
      return {409, "Another device of this user has that name. Choose a different one.", "name"};
    case Refusal::device_limit:
      return {409, "The user has as many devices as the policy allows. Remove one first."};
    case Refusal::not_pending:
      return {409, "The device is registered already: its secret was shown once and is not shown again."};
    case Refusal::not_active:
      return {409, "The device is still pending. Confirm it with a code first."};
    case Refusal::expired:
      return {410, "The pending registration ran out, by time or by wrong codes. Begin a new one."};
    case Refusal::secret_too_short:
      return {422, "The secret is too short: 16 bytes (26 base32 characters) at least.", "secret"};
    case Refusal::secret_too_long:
      return {422, "The secret is too long: 256 bytes at most.", "secret"};
    case Refusal::secret_registered:
      return {422, "The user has a device with this very secret already.", "secret"};
    case Refusal::bad_parameters:
      return {400, "Codes have 6 to 8 digits and a period of 15 to 300 seconds.", "digits"};
    case Refusal::code_length:
      return {422, "The code must have exactly the device's number of digits."};
    case Refusal::changed_meanwhile:
      return {412, "Somebody has changed this user or one of their devices since. Read again, then decide."};
    case Refusal::store_unavailable:
      return {503,
              "The store cannot write at the moment. Whether the change was made is unknown: look before trying again."};
  }
  return {500, "The request failed."};
}

}  // namespace

std::string_view refused_detail(engine::Refusal refusal) {
  return wording(refusal).detail;
}

std::string_view refused_field(engine::Refusal refusal) {
  return wording(refusal).field;
}

Response json_answer(unsigned status, const json::object& body) {
  Response response;
  response.status = status;
  response.body = json::serialize(body);
  return response;
}

Response empty_answer() {
  Response response;
  response.status = 204;
  response.content_type.clear();
  return response;
}

Response tagged(Response response, std::string_view tag) {
  response.headers.emplace_back("ETag", etag(tag));
  return response;
}

json::object device_object(const engine::DeviceView& device) {
  json::object object{{"id", device.id.text()},
                      {"name", device.name},
                      {"status", device.status == engine::DeviceStatus::pending ? "pending" : "active"},
                      {"algorithm", to_string(device.parameters.algorithm)},
                      {"digits", device.parameters.digits},
                      {"period", device.parameters.period_s},
                      {"enabled", device.enabled},
                      {"created_at", utc_text(device.created_at_s)}};
  const auto time_if_any = [&](std::string_view name, std::int64_t seconds) {
    if (seconds != 0) object[{name.data(), name.size()}] = utc_text(seconds);
  };
  time_if_any("confirmed_at", device.confirmed_at_s);
  time_if_any("expires_at", device.expires_at_s);
  time_if_any("last_used_at", device.last_used_at_s);
  object["drift_steps"] = device.drift_steps;
  return object;
}

json::object user_object(const engine::UserView& user) {
  json::object object{{"user", user.user},
                      {"created_at", utc_text(user.created_at_s)},
                      {"failures", user.failures},
                      {"locked", user.locked}};
  if (user.hard_locked) object["hard_locked"] = true;
  if (user.locked && !user.hard_locked) object["retry_after_s"] = user.retry_after_s;
  object["recovery_codes_left"] = user.recovery_codes_left;
  json::array devices;
  for (const engine::DeviceView& device : user.devices) devices.push_back(device_object(device));
  object["devices"] = std::move(devices);
  return object;
}

Response refused(engine::Refusal refusal, std::string_view code_field) {
  const Wording words = wording(refusal);
  const std::string_view field = refusal == engine::Refusal::code_length ? code_field : words.field;
  return problem(words.status, to_string(refusal), words.detail, field);
}

}  // namespace watchword::api
