#include "api/admin_plane.h"

#include <algorithm>
#include <array>
#include <exception>

#include <fmt/format.h>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/header_text.h"
#include "api/import_rows.h"
#include "api/log.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

constexpr Scopes one_of(Scope a) {
  return static_cast<Scopes>(a);
}
constexpr Scopes one_of(Scope a, Scope b) {
  return static_cast<Scopes>(one_of(a) | one_of(b));
}

enum class Takes { nothing, query, json, rows };

struct Route {
  Method method;
  std::string_view pattern;
  Scopes scopes;  // any of these will do; admin always does
  Takes takes;
  Job job;
};

constexpr std::string_view users = "/v1/users";
constexpr std::string_view user = "/v1/users/{user}";
constexpr std::string_view unlock = "/v1/users/{user}/unlock";
constexpr std::string_view recovery_codes = "/v1/users/{user}/recovery-codes";
constexpr std::string_view requirement = "/v1/users/{user}/requirement";
constexpr std::string_view devices = "/v1/users/{user}/devices";
constexpr std::string_view device = "/v1/users/{user}/devices/{device}";
constexpr std::string_view qr_svg_path = "/v1/users/{user}/devices/{device}/qr.svg";
constexpr std::string_view qr_png_path = "/v1/users/{user}/devices/{device}/qr.png";
constexpr std::string_view confirm = "/v1/users/{user}/devices/{device}/confirm";
constexpr std::string_view resync = "/v1/users/{user}/devices/{device}/resync";
constexpr std::string_view portal_links = "/v1/users/{user}/portal-links";
constexpr std::string_view data_keys = "/v1/keys";
constexpr std::string_view rotate_keys = "/v1/keys/rotate";
constexpr std::string_view policy = "/v1/policy";
constexpr std::string_view keys = "/v1/api-keys";
constexpr std::string_view key = "/v1/api-keys/{key}";
constexpr std::string_view rotate = "/v1/api-keys/{key}/rotate";
constexpr std::string_view backups = "/v1/backups";
constexpr std::string_view audit = "/v1/audit";
constexpr std::string_view import_path = "/v1/import";
constexpr std::string_view export_path = "/v1/export";

constexpr auto routes = std::to_array<Route>({
    {Method::get, users, one_of(Scope::read), Takes::query, list_users},
    {Method::get, user, one_of(Scope::read), Takes::nothing, show_user},
    {Method::del, user, one_of(Scope::admin), Takes::nothing, remove_user},
    {Method::post, unlock, one_of(Scope::admin), Takes::nothing, unlock_user},
    {Method::post, recovery_codes, one_of(Scope::enroll), Takes::json, make_recovery_codes},
    {Method::get, requirement, one_of(Scope::verify, Scope::read), Takes::nothing, show_requirement},
    {Method::get, devices, one_of(Scope::read, Scope::enroll), Takes::nothing, list_devices},
    {Method::post, devices, one_of(Scope::enroll), Takes::json, begin_registration},
    {Method::get, device, one_of(Scope::read, Scope::enroll), Takes::nothing, show_device},
    {Method::patch, device, one_of(Scope::enroll), Takes::json, patch_device},
    {Method::del, device, one_of(Scope::enroll), Takes::nothing, remove_device},
    {Method::get, qr_svg_path, one_of(Scope::enroll), Takes::nothing, show_qr_svg},
    {Method::get, qr_png_path, one_of(Scope::enroll), Takes::nothing, show_qr_png},
    {Method::post, confirm, one_of(Scope::enroll), Takes::json, confirm_registration},
    {Method::post, resync, one_of(Scope::enroll), Takes::json, resync_device},
    {Method::post, portal_links, one_of(Scope::enroll), Takes::json, make_portal_link},
    {Method::get, policy, one_of(Scope::read), Takes::nothing, show_policy},
    {Method::put, policy, one_of(Scope::admin), Takes::json, replace_policy},
    {Method::get, data_keys, one_of(Scope::admin), Takes::nothing, show_data_keys},
    {Method::post, rotate_keys, one_of(Scope::admin), Takes::json, rotate_data_keys},
    {Method::get, keys, one_of(Scope::admin), Takes::nothing, list_keys},
    {Method::post, keys, one_of(Scope::admin), Takes::json, create_key},
    {Method::post, rotate, one_of(Scope::admin), Takes::json, rotate_key},
    {Method::del, key, one_of(Scope::admin), Takes::nothing, revoke_key},
    {Method::post, backups, one_of(Scope::admin), Takes::nothing, make_backup},
    {Method::post, import_path, one_of(Scope::admin), Takes::rows, import_devices},
    {Method::get, export_path, one_of(Scope::admin), Takes::nothing, export_devices},
    {Method::get, audit, one_of(Scope::audit), Takes::query, list_audit},
});

// As in Allow: who may read may also ask for the head alone.
std::string_view method_names(Method method) {
  return method == Method::get ? "GET, HEAD" : to_string(method);
}

bool allows_one_of(Scopes granted, Scopes wanted) {
  return allows(granted, Scope::admin) || (granted & wanted) != 0;
}

Response forbidden(Scopes wanted) {
  return problem(403, "forbidden",
                 fmt::format("This needs an API key with the scope {}.", fmt::join(scope_names(wanted), " or ")));
}

// What stands in the path's braces, parsed. A problem where it is nobody's name.
std::optional<Response> fill(AdminCall& call, std::string_view pattern, const std::vector<std::string>& captured) {
  if (captured.empty()) return std::nullopt;
  if (pattern == key || pattern == rotate) {
    call.key = captured[0];
    return std::nullopt;
  }
  call.user = engine::UserName::parse(captured[0]);
  if (!call.user) {
    return problem(400, "bad_request",
                   "A user is 1 to 256 bytes of UTF-8 without control characters, percent-encoded in the path.", "user");
  }
  if (captured.size() > 1) {
    const std::optional<engine::DeviceId> id = engine::DeviceId::parse(captured[1]);
    if (!id) return refused(engine::Refusal::device_not_found);
    call.device = *id;
  }
  return std::nullopt;
}

// Everything that is checked before a job.
std::optional<Response> fault_of(const Route& route, AdminCall& call, const std::vector<std::string>& captured) {
  if (!allows_one_of(call.request.caller.scopes, route.scopes)) return forbidden(route.scopes);
  if (std::optional<Response> fault = fill(call, route.pattern, captured)) return fault;
  if (route.takes != Takes::query && route.takes != Takes::rows) {
    if (const std::optional<RequestFault> fault = QueryFields(call.target).finish()) return problem(*fault);
  }
  if (route.takes == Takes::json && !is_json(call.request.content_type)) {
    return problem(415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json.");
  }
  if (route.takes == Takes::rows && !is_json_lines(call.request.content_type)) {
    return problem(415, "unsupported_media_type", "Send the rows as JSON lines, with Content-Type: application/x-ndjson.");
  }
  return std::nullopt;
}

}  // namespace

AdminCall AdminPlane::call(const Request& request, const Target& target, engine::UnixMillis now) {
  return {.engine = engine_,
          .keys = keys_,
          .policy_changes = policy_changes_,
          .request = request,
          .target = target,
          .now = now,
          .links = links_,
          .base_url = base_url_,
          .link_expires_s = link_expires_s_,
          .user_removed = user_removed_};
}

Response AdminPlane::route(const Request& request, engine::UnixMillis now) {
  const tl::expected<Target, RequestFault> target = parse_target(request.target);
  if (!target) return problem(target.error());
  const Method method = request.method == Method::head ? Method::get : request.method;
  std::string allowed;
  for (const Route& route : routes) {
    const std::optional<std::vector<std::string>> captured = match_path(route.pattern, target->segments);
    if (!captured) continue;
    if (route.method == method) {
      AdminCall one = call(request, *target, now);
      std::optional<Response> fault = fault_of(route, one, *captured);
      Response response = fault ? std::move(*fault) : route.job(one);
      response.route = route.pattern;
      return response;
    }
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", method_names(route.method));
  }
  if (allowed.empty()) return problem(404, "not_found", "There is nothing at this path.");
  Response response = problem(405, "method_not_allowed", "This path allows " + allowed + ".");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

std::vector<std::pair<Method, std::string_view>> AdminPlane::operations() {
  std::vector<std::pair<Method, std::string_view>> list;
  list.reserve(routes.size());
  for (const Route& route : routes) list.emplace_back(route.method, route.pattern);
  return list;
}

bool AdminPlane::takes_rows(Method method, std::string_view target) {
  return method == Method::post && target.substr(0, target.find('?')) == import_path;
}

tl::expected<std::unique_ptr<ImportRows>, Response> AdminPlane::begin_rows(const Request& request, engine::UnixMillis now) {
  const tl::expected<Target, RequestFault> target = parse_target(request.target);
  if (!target) return tl::unexpected(problem(target.error()));
  const auto route = std::find_if(routes.begin(), routes.end(), [](const Route& one) { return one.takes == Takes::rows; });
  AdminCall one = call(request, *target, now);
  if (std::optional<Response> fault = fault_of(*route, one, {})) {
    note(request, *fault, now);
    return tl::unexpected(std::move(*fault));
  }
  return begin_import(one);
}

void AdminPlane::note(const Request& request, const Response& response, engine::UnixMillis now) {
  if (response.status != 403 || audit_queue_ == nullptr) return;
  audit_queue_->refused(request.origin, response.status, request.method, request.target, now);
}

void AdminPlane::publish_links_at(std::string base_url, std::int64_t expires_s) {
  while (base_url.ends_with('/')) base_url.pop_back();
  base_url_ = std::move(base_url);
  link_expires_s_ = expires_s;
}

Response AdminPlane::handle(const Request& request, engine::UnixMillis now) noexcept {
  try {
    Response response = route(request, now);
    note(request, response, now);
    return response;
  } catch (const engine::StoreError& fault) {
    log(Level::error, "store fault in an administrative request",
        {{"reason", fault.what()}, {"trace", request.origin.trace}});
    return problem(503, "store_unavailable", "The store cannot be read at the moment. Try again later.");
  } catch (const std::exception& fault) {
    log(Level::error, "administrative request failed", {{"reason", fault.what()}, {"trace", request.origin.trace}});
    return problem(500, "internal_error", "The request failed. The server's log says why.");
  }
}

}  // namespace watchword::api
