// The portal's API: a person's session and own devices.
#include <algorithm>
#include <array>

#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_json.h"
#include "api/portal_person.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::size_t begun_max = 8;  // registrations of one session that may be looked at again

Response code_needed() {
  return problem(403, "code_needed", "Give a code of a device that is registered already first.");
}

Response policy_denied() {
  return problem(403, "self_registration_denied",
                 "Your organisation's policy does not let you register devices yourself. Contact your administrator.");
}

json::value time_or_null(std::int64_t seconds, std::int64_t now_s) {
  if (seconds <= now_s) return nullptr;
  return json::string(utc_text(seconds));
}

Response session_answer(const PortalCall& call, unsigned status, const Session& session) {
  return json_answer(status, {{"user", session.owner},
                              {"csrf_token", session.csrf_token},
                              {"expires_at", utc_text(session.expires.seconds())},
                              {"entry", to_string(session.entry)},
                              {"step_up_until", time_or_null(session.step_up_until_s, call.now.seconds())}});
}

Response show_config(const PortalCall& call) {
  const std::string& contact = call.options().contact;
  return json_answer(200, {{"oidc", call.oidc() != nullptr},
                           {"issuer", call.engine().policy.copy().issuer},
                           {"contact", contact.empty() ? json::value(nullptr) : json::value(contact)},
                           {"languages", json::array{"en", "de"}}});
}

Response link_refusal(PortalLinks::Refusal refusal) {
  switch (refusal) {
    case PortalLinks::Refusal::unknown:
      return problem(403, "link_unknown", "The link was used already, or is not one of ours. Ask for a new one.", "link");
    case PortalLinks::Refusal::expired:
      return problem(403, "link_expired", "The link has expired. Ask for a new one.", "link");
    case PortalLinks::Refusal::store_unavailable:
      break;
  }
  return problem(503, "store_unavailable", "The store cannot write at the moment. Try again later.");
}

Response enter_by_proxy(const PortalCall& call) {
  const std::optional<engine::UserName> user = call.proxy().user(call.request);
  if (!user) return no_session();
  if (std::optional<Response> fault = call.record({.at = call.now,
                                                   .origin = call.origin("portal:" + user->text()),
                                                   .action = "portal.sign_in",
                                                   .user = user->text(),
                                                   .device = {},
                                                   .detail = R"({"entry":"proxy"})"})) {
    return std::move(*fault);
  }
  return open_portal(call, {.kind = SessionKind::portal, .entry = Entry::proxy, .owner = user->text()});
}

Response enter(const PortalCall& call) {
  if (std::optional<Response> refusal = call.refuse_insecure()) return std::move(*refusal);
  if (call.request.body.empty()) return enter_by_proxy(call);
  if (std::optional<Response> refusal = refuse_no_json(call.request)) return std::move(*refusal);
  JsonFields fields(call.request.body);
  const std::string link = fields.text("link");
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  const auto used = call.admin().links().use(link, call.request.origin, call.now);
  if (!used) return link_refusal(used.error());
  return open_portal(call, {.kind = SessionKind::portal, .entry = Entry::link, .owner = used->user});
}

Response session_resource(const PortalCall& call) {
  if (call.method == Method::post) return enter(call);
  const tl::expected<Session, Response> session = call.session(SessionKind::portal);
  if (!session) return session.error();
  if (call.method == Method::get) return session_answer(call, 200, *session);
  if (call.method != Method::del) return method_problem("GET, HEAD, POST, DELETE");
  call.sessions().close(SessionKind::portal, call.session_id(SessionKind::portal));
  Response response = empty_answer();
  call.clear_cookie(response, SessionKind::portal);
  return response;
}

Response list_own(const PersonCall& person, const std::string&) {
  const Standing standing = person.standing();
  json::array devices;
  for (const engine::DeviceView& device : standing.user.devices) devices.push_back(device_object(device));
  const std::string_view hindrance = standing.hindrance();
  return json_answer(200, {{"devices", std::move(devices)},
                           {"may_register", hindrance.empty() || hindrance == "code_needed"},
                           {"reason", hindrance.empty() ? json::value(nullptr) : json::value(hindrance)},
                           {"max_devices", standing.policy.max_devices_per_user},
                           {"recovery_codes_left", standing.user.recovery_codes_left},
                           {"code_needed", standing.code_needed()},
                           {"server_time", utc_text(person.call.now.seconds())}});
}

Response begin_own(const PersonCall& person, const std::string&) {
  const Standing standing = person.standing();
  if (standing.policy.self_registration == engine::SelfRegistration::denied) return policy_denied();
  if (standing.code_needed()) return code_needed();
  // The name alone: what kind of device it is, the policy says.
  JsonFields fields(person.call.request.body);
  const std::string name = fields.text("name");
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  Response response = person.administer(Method::post, "/devices", json::serialize(json::object{{"name", name}}));
  response.headers.clear();
  if (response.status != 201) return response;
  json::object body = json::parse(response.body).as_object();
  const std::string id(body.at("id").as_string());
  body["server_time"] = utc_text(person.call.now.seconds());
  person.change([&](Session& kept) {
    if (kept.begun.size() >= begun_max) kept.begun.erase(kept.begun.begin());
    kept.begun.push_back(*engine::DeviceId::parse(id));
  });
  response.body = json::serialize(body);
  response.headers.emplace_back("Location", "/portal/api/devices/" + id);
  return response;
}

// The picture holds the secret: who began the registration sees it again after a reload, and no other session of the person.
Response show_own_picture(const PersonCall& person, const std::string& device) {
  const std::optional<engine::DeviceId> id = engine::DeviceId::parse(device);
  const auto& begun = person.session.begun;
  if (!id || std::find(begun.begin(), begun.end(), *id) == begun.end()) {
    return refused(engine::Refusal::device_not_found);
  }
  return person.administer(Method::get, "/devices/" + device + "/qr.svg");
}

Response confirm_own(const PersonCall& person, const std::string& device) {
  const Standing standing = person.standing();
  if (standing.policy.self_registration == engine::SelfRegistration::denied) return policy_denied();
  // Registrations begun before there was a device do not get around its code.
  if (standing.code_needed()) return code_needed();
  Response response =
      person.administer(Method::post, "/devices/" + percent_encode(device) + "/confirm", person.call.request.body);
  if (response.status != 200) return response;
  json::object body = json::parse(response.body).as_object();
  if (body.at("result") == "accepted") body["step_up_until"] = utc_text(person.prove());
  response.body = json::serialize(body);
  return response;
}

Response rename_own(const PersonCall& person, const std::string& device) {
  // The name alone: a device that an administrator disabled stays so.
  JsonFields fields(person.call.request.body);
  const std::string name = fields.text("name");
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  return person.administer(Method::patch, "/devices/" + percent_encode(device),
                           json::serialize(json::object{{"name", name}}));
}

Response remove_own(const PersonCall& person, const std::string& device) {
  const Standing standing = person.standing();
  const auto one = std::find_if(standing.user.devices.begin(), standing.user.devices.end(),
                                [&](const auto& view) { return view.id.text() == device; });
  // A registration that was not finished proves nothing and protects nothing.
  const bool pending = one != standing.user.devices.end() && one->status == engine::DeviceStatus::pending;
  if (!pending && standing.code_needed()) return code_needed();
  return person.administer(Method::del, "/devices/" + percent_encode(device));
}

Response make_recovery_codes(const PersonCall& person, const std::string&) {
  if (person.standing().code_needed()) return code_needed();
  return person.administer(Method::post, "/recovery-codes");
}

struct PersonRoute {
  Method method;
  std::string_view pattern;
  bool takes_json;
  Response (*job)(const PersonCall& person, const std::string& device);
};

constexpr std::string_view devices_path = "/portal/api/devices";
constexpr std::string_view device_path = "/portal/api/devices/{device}";
constexpr std::array<PersonRoute, 8> person_routes = {{
    {Method::get, devices_path, false, list_own},
    {Method::post, devices_path, true, begin_own},
    {Method::patch, device_path, true, rename_own},
    {Method::del, device_path, false, remove_own},
    {Method::get, "/portal/api/devices/{device}/qr.svg", false, show_own_picture},
    {Method::post, "/portal/api/devices/{device}/confirm", true, confirm_own},
    {Method::post, "/portal/api/code", true, prove_own_device},
    {Method::post, "/portal/api/recovery-codes", false, make_recovery_codes},
}};

std::string_view method_name(Method method) {
  switch (method) {
    case Method::get:
      return "GET, HEAD";
    case Method::post:
      return "POST";
    case Method::patch:
      return "PATCH";
    default:
      return "DELETE";
  }
}

Response run(const PortalCall& call, const PersonRoute& route, const std::string& device) {
  const tl::expected<Session, Response> session = call.session(SessionKind::portal);
  if (!session) return session.error();
  if (route.takes_json) {
    if (std::optional<Response> refusal = refuse_no_json(call.request)) return std::move(*refusal);
  }
  return route.job({.call = call, .session = *session, .user = *engine::UserName::parse(session->owner)}, device);
}

}  // namespace

Response open_portal(const PortalCall& call, Session session) {
  // A new id on each entry: what the browser held before opens nothing any more.
  if (const std::string_view before = call.session_id(SessionKind::portal); !before.empty()) {
    call.sessions().close(SessionKind::portal, before);
  }
  const std::optional<Sessions::Opened> opened = call.sessions().open(std::move(session), call.now);
  if (!opened) return too_many_sessions();
  Response response = session_answer(call, 201, opened->session);
  call.set_cookie(response, SessionKind::portal, opened->id);
  return response;
}

Response portal_api(const PortalCall& call) {
  if (const std::optional<RequestFault> fault = QueryFields(call.target).finish()) return problem(*fault);
  if (match_path("/portal/api/session", call.target.segments)) return session_resource(call);
  if (match_path("/portal/api/config", call.target.segments)) {
    return call.method == Method::get ? show_config(call) : method_problem("GET, HEAD");
  }
  std::string allowed;
  for (const PersonRoute& route : person_routes) {
    const std::optional<std::vector<std::string>> captured = match_path(route.pattern, call.target.segments);
    if (!captured) continue;
    if (route.method == call.method) return run(call, route, captured->empty() ? std::string() : captured->front());
    allowed += (allowed.empty() ? "" : ", ") + std::string(method_name(route.method));
  }
  return allowed.empty() ? problem(404, "not_found", "There is nothing at this path.") : method_problem(allowed);
}

}  // namespace watchword::api
