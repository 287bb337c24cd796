#include <algorithm>

#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/base64.h"
#include "api/if_match.h"
#include "engine/thread_rank.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::uint64_t users_per_page_max = 1000;
constexpr std::uint64_t users_per_page_default = 100;

std::string_view requirement(const engine::Policy& policy, bool has_usable_device) {
  using engine::NoDeviceAction;
  if (has_usable_device) return policy.prompt == engine::Prompt::never ? "allow" : "verify";
  switch (policy.no_device_action) {
    case NoDeviceAction::allow:
      return "allow";
    case NoDeviceAction::deny:
      return "deny";
    case NoDeviceAction::register_device:
      break;
  }
  // To be told to register where that is denied leads nowhere.
  return policy.self_registration == engine::SelfRegistration::denied ? "deny" : "register";
}

bool usable(const engine::DeviceView& device) {
  return device.status == engine::DeviceStatus::active && device.enabled;
}

}  // namespace

Response list_users(const AdminCall& call) {
  QueryFields query(call.target);
  const std::string prefix = query.text("prefix").value_or("");
  const std::uint64_t limit = query.number("limit", 1, users_per_page_max).value_or(users_per_page_default);
  std::string after;
  if (const std::optional<std::string> cursor = query.text("cursor")) {
    after = base64url_decode(*cursor).value_or("");
    if (!engine::valid_user(after))
      query.refuse("cursor", "The cursor is not one of this server's: take next_cursor as it is.");
  }
  if (prefix.size() > engine::user_bytes_max)
    query.refuse("prefix", "A user has 256 bytes at most, so a prefix has as well.");
  if (const std::optional<RequestFault> fault = query.finish()) return problem(*fault);

  const engine::UserPage page = call.engine.store.list(prefix, after, limit);
  json::array users;
  for (const engine::UserSummary& user : page.users) {
    engine::give_way();
    users.push_back(json::object{
        {"user", user.user}, {"created_at", utc_text(user.created_at_s)}, {"active_devices", user.active_devices}});
  }
  json::object body{{"users", std::move(users)}};
  if (page.more && !page.users.empty()) body["next_cursor"] = base64url_encode(page.users.back().user);
  return json_answer(200, body);
}

Response show_user(const AdminCall& call) {
  const engine::Answer<engine::UserView> user = call.engine.registrar.get(*call.user, call.now);
  return user ? tagged(json_answer(200, user_object(*user)), user->tag) : refused(user.error());
}

Response remove_user(const AdminCall& call) {
  const auto removed =
      call.engine.registrar.remove_user(*call.user, call.request.origin, call.now, wanted_tags(call.request.if_match));
  if (!removed) return refused(removed.error());
  call.links.erase_of(call.user->text());
  call.user_removed(call.user->text());
  return empty_answer();
}

Response unlock_user(const AdminCall& call) {
  const engine::Answer<engine::UserView> user = call.engine.registrar.unlock(*call.user, call.request.origin, call.now);
  return user ? json_answer(200, user_object(*user)) : refused(user.error());
}

Response make_recovery_codes(const AdminCall& call) {
  if (!call.request.body.empty()) {
    if (const std::optional<RequestFault> fault = JsonFields(call.request.body).finish()) return problem(*fault);
  }
  const auto made = call.engine.registrar.make_recovery_codes(*call.user, call.request.origin, call.now);
  if (!made) return refused(made.error());
  json::array codes;
  for (const std::string& code : *made) codes.emplace_back(code);
  return json_answer(201, {{"codes", std::move(codes)}});
}

// A person whom the store does not know has no device, and is answered by policy like everybody without one.
Response show_requirement(const AdminCall& call) {
  const engine::Answer<engine::UserView> user = call.engine.registrar.get(*call.user, call.now);
  if (!user && user.error() != engine::Refusal::user_not_found) return refused(user.error());
  const bool has_usable_device = user && std::any_of(user->devices.begin(), user->devices.end(), usable);
  return json_answer(200, {{"requirement", requirement(call.engine.policy.copy(), has_usable_device)}});
}

}  // namespace watchword::api
