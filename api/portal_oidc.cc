// The two pages of a sign-in by the OpenID provider: the way there, and the way back.
#include <algorithm>

#include <fmt/format.h>

#include "api/admin_json.h"
#include "api/browser.h"
#include "api/portal_call.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

std::string binding_cookie(bool secure) {
  return secure ? "__Host-watchword_oidc" : "watchword_oidc";
}

Response redirect(std::string location) {
  Response response;
  response.status = 303;
  response.content_type = "text/plain; charset=utf-8";
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

// Back to the page, which says it in words.
Response failed(SessionKind kind, std::string_view reason) {
  return redirect(fmt::format("/{}/#error={}", kind == SessionKind::portal ? "portal" : "console", reason));
}

std::string_view reason(OidcClient::Refusal refusal) {
  switch (refusal) {
    case OidcClient::Refusal::unavailable:
      return "provider_unavailable";
    case OidcClient::Refusal::bad_state:
      return "sign_in_expired";
    case OidcClient::Refusal::denied:
      return "sign_in_denied";
    case OidcClient::Refusal::bad_token:
    case OidcClient::Refusal::no_user:
      break;
  }
  return "sign_in_invalid";
}

Response log_in(const PortalCall& call) {
  QueryFields query(call.target);
  const std::string wanted = query.text("for").value_or("portal");
  if (wanted != "portal" && wanted != "console") query.refuse("for", "Sign in for \"portal\" or \"console\".");
  if (const std::optional<RequestFault> fault = query.finish()) return problem(*fault);
  const SessionKind kind = wanted == "console" ? SessionKind::console : SessionKind::portal;
  const tl::expected<OidcClient::Begun, OidcClient::Refusal> begun = call.oidc()->begin(kind, call.now);
  if (!begun) return failed(kind, reason(begun.error()));
  Response response = redirect(begun->url);
  // Lax: the provider sends the browser back from another site.
  response.headers.emplace_back(
      "Set-Cookie", fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{}", binding_cookie(call.secure()),
                                begun->binding, OidcClient::pending_s, call.secure() ? "; Secure" : ""));
  return response;
}

Response enter_portal(const PortalCall& call, const OidcClient::Person& person) {
  if (std::optional<Response> fault = call.record({.at = call.now,
                                                   .origin = call.origin("portal:" + person.user),
                                                   .action = "portal.sign_in",
                                                   .user = person.user,
                                                   .device = {},
                                                   .detail = R"({"entry":"oidc"})"})) {
    return std::move(*fault);
  }
  return open_portal(call, {.kind = SessionKind::portal, .entry = Entry::oidc, .owner = person.user});
}

Response enter_console(const PortalCall& call, const OidcClient::Person& person) {
  Session session{.kind = SessionKind::console, .entry = Entry::oidc, .owner = person.user, .name = person.user};
  session.absolute_s = call.options().oidc.console_session_s;
  for (const auto& [group, scopes] : call.options().oidc.console_groups) {
    const bool member = std::find(person.groups.begin(), person.groups.end(), group) != person.groups.end();
    if (member) session.scopes = static_cast<Scopes>(session.scopes | scopes);
  }
  if (session.scopes == 0) return failed(SessionKind::console, "not_in_group");
  return open_console(call, std::move(session), 201);
}

// A sign-in comes to its end once, well or not.
Response forget_binding(const PortalCall& call, Response response) {
  response.headers.emplace_back("Set-Cookie", fmt::format("{}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{}",
                                                          binding_cookie(call.secure()), call.secure() ? "; Secure" : ""));
  return response;
}

Response come_back(const PortalCall& call) {
  OidcClient::Callback callback;
  for (const auto& [name, value] : call.target.query) {  // providers add parameters of their own
    if (name == "state") callback.state = value;
    if (name == "code") callback.code = value;
    if (name == "error") callback.error = value;
    if (name == "iss") callback.issuer = value;
  }
  const std::string binding(cookie(call.request.browser.head, binding_cookie(call.secure())).value_or(""));
  const tl::expected<OidcClient::Person, OidcClient::Failure> person = call.oidc()->finish(callback, binding, call.now);
  if (!person) return forget_binding(call, failed(person.error().kind, reason(person.error().refusal)));
  const bool portal = person->kind == SessionKind::portal;
  Response opened = portal ? enter_portal(call, *person) : enter_console(call, *person);
  if (opened.status != 201) return opened;
  Response response = redirect(portal ? "/portal/" : "/console/");
  for (const auto& header : opened.headers) {
    if (header.first == "Set-Cookie") response.headers.push_back(header);
  }
  return forget_binding(call, std::move(response));
}

}  // namespace

Response oidc_pages(const PortalCall& call) {
  const bool login = match_path("/portal/oidc/login", call.target.segments).has_value();
  const bool callback = match_path("/portal/oidc/callback", call.target.segments).has_value();
  if (call.oidc() == nullptr || (!login && !callback)) {
    return problem(404, "not_found", "There is nothing at this path.");
  }
  if (call.request.method != Method::get) return method_problem("GET");
  if (std::optional<Response> refusal = call.refuse_insecure()) return std::move(*refusal);
  return login ? log_in(call) : come_back(call);
}

}  // namespace watchword::api
