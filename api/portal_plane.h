// What browsers ask for: the pages, the portal's API for a person's own devices, the console's session and its way into the
// administrative plane. Runs on worker threads; thread-safe.
//
// Nobody gets further than the pages without a session (sessions.h). A changing request has to carry the session's token in
// X-CSRF-Token and must not come from another site's page. What is asked about devices goes through AdminPlane, as the
// person, with the scope to enrol: one way to every registration.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/admin_plane.h"
#include "api/oidc_client.h"
#include "api/portal_options.h"
#include "api/sessions.h"
#include "api/static_files.h"
#include "api/trusted_proxy.h"
#include "api/waiting_verifier.h"

namespace watchword::api {

class PortalPlane {
 public:
  // Answer GET /console/api/metrics and .../history once the caller is known to have the right to it.
  struct Figures {
    std::function<Response()> now;
    std::function<Response()> history;
  };

  PortalPlane(engine::Engine& engine, AccessKeys& keys, AdminPlane& admin, const PortalOptions& options);

  // Never throws: faults are 503 or 500 problems. The thread is registered (engine::RcuThread).
  Response handle(const Request& request, engine::UnixMillis now) noexcept;
  // Before the first request.
  void expose(Figures figures) { figures_ = std::move(figures); }

  const Sessions& sessions() const { return sessions_; }
  const WaitingVerifier& verifier() const { return verifier_; }

  // Whose sessions and links end, because they are removed.
  void forget_user(const std::string& user);

 private:
  friend struct PortalCall;
  Response answer(const Request& request, engine::UnixMillis now) noexcept;
  Response route(const Request& request, engine::UnixMillis now);

  engine::Engine& engine_;
  AccessKeys& keys_;
  AdminPlane& admin_;
  const PortalOptions options_;
  const StaticFiles files_;
  const TrustedProxy proxy_;
  Sessions sessions_;
  WaitingVerifier verifier_;
  std::unique_ptr<OidcClient> oidc_;  // null: not configured
  Figures figures_;                   // empty: nothing is counted
};

}  // namespace watchword::api
