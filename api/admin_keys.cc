#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/audit_json.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

json::array scope_list(Scopes scopes) {
  json::array names;
  for (const std::string& name : scope_names(scopes)) names.emplace_back(name);
  return names;
}

Scopes scopes_field(JsonFields& fields) {
  Scopes scopes = 0;
  for (const std::string& name : fields.texts("scopes")) {
    const std::optional<Scope> scope = parse_scope(name);
    if (!scope) fields.refuse("scopes", "Scopes are verify, enroll, read, admin, audit and metrics.");
    if (scope) scopes = static_cast<Scopes>(scopes | static_cast<Scopes>(*scope));
  }
  return scopes;
}

// A time to come, in a field that may be absent.
std::optional<std::int64_t> expiry_field(JsonFields& fields) {
  const std::optional<std::string> text = fields.optional_text("expires_at");
  if (!text) return std::nullopt;
  const std::optional<engine::UnixMillis> time = parse_utc(*text);
  if (!time) {
    fields.refuse("expires_at", "A time is RFC 3339 in UTC: 2026-11-24T14:00:00Z.");
    return std::nullopt;
  }
  return time->seconds();
}

AccessKeyTerms terms_of(JsonFields& fields) {
  AccessKeyTerms terms{.name = fields.text("name"), .scopes = scopes_field(fields)};
  terms.expires_at_s = expiry_field(fields).value_or(0);
  if (fields.has("address_ranges")) {
    terms.address_ranges = fields.texts("address_ranges");
    if (terms.address_ranges.empty()) fields.refuse("address_ranges", "Leave it out for a key that is used from anywhere.");
  }
  if (const std::optional<std::int64_t> rate = fields.optional_integer("requests_per_second")) {
    if (*rate < 1 || *rate > AccessKeys::requests_per_second_max) {
      fields.refuse("requests_per_second", "A rate is a whole number from 1 to 1,000,000; leave it out for none.");
    } else {
      terms.requests_per_second = static_cast<std::uint32_t>(*rate);
    }
  }
  return terms;
}

Response key_refused(AccessKeys::Refusal refusal) {
  using Refusal = AccessKeys::Refusal;
  switch (refusal) {
    case Refusal::not_found:
      return problem(404, "key_not_found", "There is no API key with that id.");
    case Refusal::last_admin:
      return problem(409, "last_admin_key", "This is the last key with the scope admin. Make another one first.");
    case Refusal::bad_name:
      return problem(400, "bad_request", "A key's name has 1 to 64 characters, without control characters.", "name");
    case Refusal::no_scopes:
      return problem(400, "bad_request", "A key needs one scope at least.", "scopes");
    case Refusal::bad_expiry:
      return problem(400, "bad_request", "A key expires in the future, in ten years at the latest.", "expires_at");
    case Refusal::bad_address_range:
      return problem(400, "bad_request",
                     "Address ranges are up to 64 networks such as 10.0.0.0/8 or 2001:db8::/32, without bits beyond their "
                     "prefix, or single addresses.",
                     "address_ranges");
    case Refusal::bad_rate:
      return problem(400, "bad_request", "A rate is at most 1,000,000 requests a second.", "requests_per_second");
    case Refusal::bad_overlap:
      return problem(400, "bad_request", "The old key may go on counting for 0 to 7,776,000 seconds.", "overlap_s");
    case Refusal::expired:
      return problem(409, "key_expired", "This key has expired. Give it a new expires_at with the rotation.", "expires_at");
    case Refusal::too_many_secrets:
      return problem(409, "too_many_rotations",
                     "This key was rotated four times already while its old secrets still count. Wait until one ends, or "
                     "rotate with overlap_s 0, which ends them all.");
    case Refusal::store_unavailable:
      break;
  }
  return refused(engine::Refusal::store_unavailable);
}

json::value time_or_null(std::int64_t seconds) {
  return seconds == 0 ? json::value(nullptr) : json::value(utc_text(seconds));
}

json::object key_object(const AccessKeyView& key, engine::UnixMillis now) {
  json::array ranges;
  for (const std::string& range : key.address_ranges) ranges.emplace_back(range);
  return {
      {"id", key.id},
      {"name", key.name},
      {"scopes", scope_list(key.scopes)},
      {"created_at", utc_text(key.created_at_s)},
      {"expires_at", time_or_null(key.expires_at_s)},
      {"expired", key.expired(now.seconds())},
      {"last_used_at", time_or_null(key.last_used_at_s)},
      {"rotated_at", time_or_null(key.rotated_at_s)},
      {"old_key_until", time_or_null(key.old_until_s > now.seconds() ? key.old_until_s : 0)},
      {"address_ranges", std::move(ranges)},
      {"requests_per_second", key.requests_per_second == 0 ? json::value(nullptr) : json::value(key.requests_per_second)}};
}

// The one answer that holds the key.
Response new_key(unsigned status, const NewAccessKey& made, engine::UnixMillis now) {
  json::object body = key_object(made.view, now);
  body["key"] = made.key;
  return json_answer(status, body);
}

}  // namespace

Response list_keys(const AdminCall& call) {
  json::array list;
  for (const AccessKeyView& key : call.keys.list()) list.push_back(key_object(key, call.now));
  return json_answer(200, {{"api_keys", std::move(list)}});
}

Response create_key(const AdminCall& call) {
  JsonFields fields(call.request.body);
  AccessKeyTerms terms = terms_of(fields);
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  const auto made = call.keys.create(std::move(terms), call.request.origin, call.now);
  return made ? new_key(201, *made, call.now) : key_refused(made.error());
}

Response rotate_key(const AdminCall& call) {
  KeyRotation rotation;
  if (!call.request.body.empty()) {
    JsonFields fields(call.request.body);
    rotation.overlap_s = fields.optional_integer("overlap_s").value_or(rotation.overlap_s);
    rotation.expires_at_s = expiry_field(fields);
    if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  }
  const auto made = call.keys.rotate(call.key, rotation, call.request.origin, call.now);
  return made ? new_key(200, *made, call.now) : key_refused(made.error());
}

Response revoke_key(const AdminCall& call) {
  const auto revoked = call.keys.revoke(call.key, call.request.origin, call.now);
  return revoked ? empty_answer() : key_refused(revoked.error());
}

}  // namespace watchword::api
