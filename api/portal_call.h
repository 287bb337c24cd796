// One request of a browser, and what the portal's and the console's handlers share. Part of PortalPlane.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/admin_route.h"
#include "api/portal_plane.h"

namespace watchword::api {

struct PortalCall {
  PortalPlane& plane;
  const Request& request;
  const Target& target;
  engine::UnixMillis now;
  Method method;

  engine::Engine& engine() const { return plane.engine_; }
  AccessKeys& keys() const { return plane.keys_; }
  AdminPlane& admin() const { return plane.admin_; }
  Sessions& sessions() const { return plane.sessions_; }
  WaitingVerifier& verifier() const { return plane.verifier_; }
  OidcClient* oidc() const { return plane.oidc_.get(); }  // null: not configured
  const TrustedProxy& proxy() const { return plane.proxy_; }
  const PortalOptions& options() const { return plane.options_; }
  const PortalPlane::Figures& figures() const { return plane.figures_; }

  // The socket's other end; unspecified where that is not known any more.
  boost::asio::ip::address peer() const;
  bool changes() const { return method != Method::get; }
  bool secure() const { return over_tls_; }
  // The id that the browser presents for a session of that kind; empty: none.
  std::string_view session_id(SessionKind kind) const;
  // The live session, with the token checked where the request changes something. A refusal is 401 no_session or 403
  // bad_csrf_token.
  tl::expected<Session, Response> session(SessionKind kind) const;
  // Where a cookie would travel in the clear, nobody signs in.
  std::optional<Response> refuse_insecure() const;
  void set_cookie(Response& response, SessionKind kind, std::string_view id) const;
  void clear_cookie(Response& response, SessionKind kind) const;
  // As an administrative request under the person's or administrator's name.
  Response administer(Method verb, std::string path, std::string body, Scopes scopes, std::uint64_t key_id,
                      std::string actor) const;
  engine::Origin origin(std::string actor) const;
  // Writes one line of the audit trail; a refusal where that is not on disk.
  std::optional<Response> record(engine::AuditEntry entry) const;

  const bool over_tls_;
};

std::string cookie_name(SessionKind kind, bool secure);
// A body of JSON, said to be such: another site's form cannot send it.
std::optional<Response> refuse_no_json(const Request& request);
Response no_session();
Response too_many_sessions();
Response method_problem(std::string_view allowed);

Response portal_api(const PortalCall& call);   // portal_api.cc
Response oidc_pages(const PortalCall& call);   // portal_oidc.cc
Response console_api(const PortalCall& call);  // console_api.cc
// A session for whoever has proven to be somebody, with its cookie: 201. The console's is written down here.
Response open_portal(const PortalCall& call, Session session);
Response open_console(const PortalCall& call, Session session, unsigned status);

}  // namespace watchword::api
