#include "api/portal_plane.h"

#include <exception>

#include "api/browser.h"
#include "api/digest.h"
#include "api/header_text.h"
#include "api/log.h"
#include "api/portal_call.h"
#include "api/portal_routes.h"
#include "api/problem.h"
#include "api/routes.h"

namespace watchword::api {
namespace {

std::string cookie_text(std::string_view name, std::string_view value, bool secure) {
  return std::string(name) + "=" + std::string(value) + "; Path=/; HttpOnly; SameSite=Strict" + (secure ? "; Secure" : "");
}

std::string redirect_uri(const PortalOptions& options) {
  return options.oidc.redirect_uri.empty() ? options.base_url + "/portal/oidc/callback" : options.oidc.redirect_uri;
}

}  // namespace

std::string cookie_name(SessionKind kind, bool secure) {
  const std::string name = kind == SessionKind::portal ? "watchword_portal" : "watchword_console";
  return secure ? "__Host-" + name : name;
}

std::optional<Response> refuse_no_json(const Request& request) {
  if (!request.content_type.empty() && is_json(request.content_type)) return std::nullopt;
  return problem(415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json.");
}

Response no_session() {
  Response response = problem(401, "no_session", "There is no session, or it has ended. Sign in again.");
  response.headers.clear();  // no API key would help here
  return response;
}

Response too_many_sessions() {
  return problem(503, "overloaded", "Too many people are signed in at the moment. Try again later.");
}

Response method_problem(std::string_view allowed) {
  Response response = problem(405, "method_not_allowed", "This path allows " + std::string(allowed) + ".");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

std::string_view PortalCall::session_id(SessionKind kind) const {
  return cookie(request.browser.head, cookie_name(kind, secure())).value_or(std::string_view());
}

tl::expected<Session, Response> PortalCall::session(SessionKind kind) const {
  const std::string_view id = session_id(kind);
  if (id.empty()) return tl::unexpected(no_session());
  std::optional<Session> found = sessions().find(kind, id, now);
  if (!found) return tl::unexpected(no_session());
  if (found->entry == Entry::proxy) {
    // The proxy vouches for each request, not for the first one.
    const std::optional<engine::UserName> user = proxy().user(request);
    if (!user || user->text() != found->owner) return tl::unexpected(no_session());
  }
  if (changes()) {
    const HeaderField token = header_field(request.browser.head, "X-CSRF-Token");
    if (token.count != 1 || !equal_in_constant_time(token.text, found->csrf_token)) {
      return tl::unexpected(problem(403, "bad_csrf_token",
                                    "The header X-CSRF-Token must hold the session's csrf_token. Load the page again."));
    }
  }
  return *found;
}

boost::asio::ip::address PortalCall::peer() const {
  boost::system::error_code unknown;
  const auto address = boost::asio::ip::make_address(request.browser.peer, unknown);
  return unknown ? boost::asio::ip::address() : address;
}

std::optional<Response> PortalCall::refuse_insecure() const {
  if (secure() || from_loopback(request)) return std::nullopt;
  return problem(403, "needs_tls",
                 "Signing in needs HTTPS. Serve this listener over TLS or, behind a proxy that does, set portal.base_url.");
}

void PortalCall::set_cookie(Response& response, SessionKind kind, std::string_view id) const {
  response.headers.emplace_back("Set-Cookie", cookie_text(cookie_name(kind, secure()), id, secure()));
}

void PortalCall::clear_cookie(Response& response, SessionKind kind) const {
  response.headers.emplace_back("Set-Cookie", cookie_text(cookie_name(kind, secure()), "", secure()) + "; Max-Age=0");
  response.headers.emplace_back("Clear-Site-Data", "\"cache\", \"storage\"");
}

engine::Origin PortalCall::origin(std::string actor) const {
  engine::Origin origin = request.origin;
  origin.actor = std::move(actor);
  return origin;
}

Response PortalCall::administer(Method verb, std::string path, std::string body, Scopes scopes, std::uint64_t key_id,
                                std::string actor) const {
  Request asked;
  asked.method = verb;
  asked.target = std::move(path);
  asked.content_type = request.content_type;
  asked.if_match = request.if_match;
  asked.body = std::move(body);
  asked.caller = {.id = key_id, .scopes = scopes};
  asked.origin = origin(std::move(actor));
  asked.browser = request.browser;
  return admin().handle(asked, now);
}

std::optional<Response> PortalCall::record(engine::AuditEntry entry) const {
  engine::Change change;
  change.audit.push_back(std::move(entry));
  if (engine().committer.commit(change) == engine::Outcome::durable) return std::nullopt;
  return problem(503, "store_unavailable", "The store cannot write at the moment. Try again later.");
}

PortalPlane::PortalPlane(engine::Engine& engine, AccessKeys& keys, AdminPlane& admin, const PortalOptions& options)
    : engine_(engine),
      keys_(keys),
      admin_(admin),
      options_(options),
      files_(options.assets_dir),
      proxy_(options.proxy),
      sessions_({.idle = options.idle, .absolute = options.absolute, .sessions_max = options.sessions_max}),
      verifier_(engine),
      oidc_(options.oidc.issuer.empty() ? nullptr : std::make_unique<OidcClient>(options.oidc, redirect_uri(options))) {
  admin_.on_user_removed([this](const std::string& user) { forget_user(user); });
}

void PortalPlane::forget_user(const std::string& user) {
  sessions_.close_user(user);
}

Response PortalPlane::route(const Request& request, engine::UnixMillis now) {
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  const Method method = request.method == Method::head ? Method::get : request.method;
  const bool portal = path.starts_with("/portal/api/");
  const bool oidc = path.starts_with("/portal/oidc/");
  const bool console = path.starts_with("/console/api/");
  if (!portal && !oidc && !console) {
    Response file = method == Method::get ? files_.serve(path, request.browser.head) : method_problem("GET, HEAD");
    file.route = portal_template(path, {});
    return file;
  }
  const tl::expected<Target, RequestFault> target = parse_target(request.target);
  if (!target) return problem(target.error());
  const PortalCall call{.plane = *this,
                        .request = request,
                        .target = *target,
                        .now = now,
                        .method = method,
                        .over_tls_ = over_tls(request, options_.base_url)};
  Response response;
  if (oidc) {
    response = oidc_pages(call);  // the provider sends browsers here: from another site
  } else if (std::optional<Response> refusal = refuse_cross_site(request, options_.base_url)) {
    response = std::move(*refusal);
  } else {
    response = portal ? portal_api(call) : console_api(call);
  }
  response.route = portal_template(path, target->segments);
  return response;
}

Response PortalPlane::handle(const Request& request, engine::UnixMillis now) noexcept {
  Response response = answer(request, now);
  // Two years: a browser that was here once does not come without TLS again.
  if (over_tls(request, options_.base_url)) {
    response.headers.emplace_back("Strict-Transport-Security", "max-age=63072000; includeSubDomains");
  }
  return response;
}

Response PortalPlane::answer(const Request& request, engine::UnixMillis now) noexcept {
  try {
    return route(request, now);
  } catch (const engine::StoreError& fault) {
    log(Level::error, "store fault in a request of the portal", {{"reason", fault.what()}, {"trace", request.origin.trace}});
    return problem(503, "store_unavailable", "The store cannot be read at the moment. Try again later.");
  } catch (const std::exception& fault) {
    log(Level::error, "a request of the portal failed", {{"reason", fault.what()}, {"trace", request.origin.trace}});
    return problem(500, "internal_error", "The request failed. The server's log says why.");
  }
}

}  // namespace watchword::api
