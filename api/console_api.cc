// The console's API: an administrator's session, and through it the administrative plane.
#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_json.h"
#include "api/portal_call.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::string_view console_prefix = "/console/api";  // followed by "/v1/..."

Response session_answer(unsigned status, const Session& session) {
  json::array scopes;
  for (const std::string& name : scope_names(session.scopes)) scopes.emplace_back(name);
  return json_answer(status, {{"csrf_token", session.csrf_token},
                              {"scopes", std::move(scopes)},
                              {"name", session.name},
                              {"entry", to_string(session.entry)},
                              {"expires_at", utc_text(session.expires.seconds())}});
}

std::string actor_of(const Session& session) {
  return "console:" + (session.entry == Entry::api_key ? fmt::format("{:016x}", session.key_id) : session.owner);
}

// The session, unless the key behind it was revoked meanwhile; with what the key allows today.
tl::expected<Session, Response> current_session(const PortalCall& call) {
  tl::expected<Session, Response> session = call.session(SessionKind::console);
  if (!session || session->entry != Entry::api_key) return session;
  const auto granted = call.keys().granted(session->key_id, call.peer(), call.now);
  if (!granted) {
    call.sessions().close(SessionKind::console, call.session_id(SessionKind::console));
    return tl::unexpected(no_session());
  }
  if (const std::int64_t wait_ms = granted->spend(call.now); wait_ms > 0) return tl::unexpected(too_many_requests(wait_ms));
  session->scopes = granted->scopes;
  return session;
}

Response enter(const PortalCall& call) {
  if (std::optional<Response> refusal = call.refuse_insecure()) return std::move(*refusal);
  if (std::optional<Response> refusal = refuse_no_json(call.request)) return std::move(*refusal);
  JsonFields fields(call.request.body);
  const std::string key = fields.text("api_key");
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  const auto granted = call.keys().authenticate(key, call.peer(), call.now);
  if (!granted) {
    // Not "unauthorized": the page shows it beside the field, and no scheme would help.
    const bool elsewhere = granted.error().reason == AccessKeys::Denied::Reason::wrong_address;
    Response response = elsewhere ? problem(403, "address_not_allowed", "This API key may not be used from here.", "api_key")
                                  : problem(401, "bad_api_key", "This is no valid API key, or it has expired.", "api_key");
    response.headers.clear();
    return response;
  }
  if (const std::int64_t wait_ms = granted->spend(call.now); wait_ms > 0) return too_many_requests(wait_ms);
  const std::string id = fmt::format("{:016x}", granted->id);
  Session session{.kind = SessionKind::console,
                  .entry = Entry::api_key,
                  .owner = "key:" + id,
                  .key_id = granted->id,
                  .scopes = granted->scopes};
  for (const AccessKeyView& view : call.keys().list()) {
    if (view.id == id) session.name = view.name;
  }
  return open_console(call, std::move(session), 201);
}

Response session_resource(const PortalCall& call) {
  if (call.method == Method::post) return enter(call);
  const tl::expected<Session, Response> session = current_session(call);
  if (!session) return session.error();
  if (call.method == Method::get) return session_answer(200, *session);
  if (call.method != Method::del) return method_problem("GET, HEAD, POST, DELETE");
  call.sessions().close(SessionKind::console, call.session_id(SessionKind::console));
  Response response = empty_answer();
  call.clear_cookie(response, SessionKind::console);
  return response;
}

Response show_figures(const PortalCall& call, const Session& session, const std::function<Response()>& figures) {
  if (call.method != Method::get) return method_problem("GET, HEAD");
  if (!allows(session.scopes, Scope::metrics)) {
    return problem(403, "forbidden", "This needs the scope metrics.");
  }
  return figures ? figures() : problem(404, "not_found", "This server exposes no metrics.");
}

}  // namespace

Response open_console(const PortalCall& call, Session session, unsigned status) {
  if (std::optional<Response> fault = call.record(
          {.at = call.now,
           .origin = call.origin(actor_of(session)),
           .action = "console.sign_in",
           .user = {},
           .device = {},
           .detail = json::serialize(json::object{{"entry", to_string(session.entry)}, {"name", session.name}})})) {
    return std::move(*fault);
  }
  if (const std::string_view before = call.session_id(SessionKind::console); !before.empty()) {
    call.sessions().close(SessionKind::console, before);
  }
  const std::optional<Sessions::Opened> opened = call.sessions().open(std::move(session), call.now);
  if (!opened) return too_many_sessions();
  Response response = session_answer(status, opened->session);
  call.set_cookie(response, SessionKind::console, opened->id);
  return response;
}

Response console_api(const PortalCall& call) {
  if (match_path("/console/api/session", call.target.segments)) return session_resource(call);
  const bool metrics = match_path("/console/api/metrics", call.target.segments).has_value();
  const bool history = match_path("/console/api/metrics/history", call.target.segments).has_value();
  const bool rest = call.target.segments.size() > 3 && call.target.segments[2] == "v1";
  if (!metrics && !history && !rest) return problem(404, "not_found", "There is nothing at this path.");
  const tl::expected<Session, Response> session = current_session(call);
  if (!session) return session.error();
  if (metrics) return show_figures(call, *session, call.figures().now);
  if (history) return show_figures(call, *session, call.figures().history);
  return call.administer(call.request.method, call.request.target.substr(console_prefix.size()), call.request.body,
                         session->scopes, session->key_id, actor_of(*session));
}

}  // namespace watchword::api
