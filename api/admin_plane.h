// Everything but verification: users, devices, policy, keys. Runs on worker threads and may block on the store; thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "api/access_keys.h"
#include "api/audit_queue.h"
#include "api/message.h"
#include "api/portal_links.h"
#include "engine/engine.h"

namespace watchword::api {

struct AdminCall;
struct Target;
class ImportRows;

class AdminPlane {
 public:
  // `audit_queue` hears of requests whose key lacks the scope; none: nobody does.
  AdminPlane(engine::Engine& engine, AccessKeys& keys, AuditQueue* audit_queue = nullptr)
      : engine_(engine), keys_(keys), audit_queue_(audit_queue), links_(engine.store, engine.committer) {}

  // The caller is authenticated; scopes are checked here, a route at a time. Unknown path: 404 problem; wrong method: 405
  // with Allow. HEAD is answered as GET, body included: the session leaves it out. Never throws: a fault of the store is a
  // 503 problem. The thread is registered (engine::RcuThread).
  Response handle(const Request& request, engine::UnixMillis now) noexcept;

  // A body that is taken in pieces, because it may be of any length: whether the request is for one, and its checks up to
  // where the body begins. The refusal: the caller sends it.
  static bool takes_rows(Method method, std::string_view target);
  tl::expected<std::unique_ptr<ImportRows>, Response> begin_rows(const Request& request, engine::UnixMillis now);

  // What there is, as a method and a path with its names in braces. For whoever describes it.
  static std::vector<std::pair<Method, std::string_view>> operations();

  PortalLinks& links() { return links_; }
  // How links begin, "https://mfa.example.com", and how long they are good where nobody says. Before the first request.
  void publish_links_at(std::string base_url, std::int64_t expires_s);
  // Told of every person who was removed. Before the first request.
  void on_user_removed(std::function<void(const std::string& user)> tell) { user_removed_ = std::move(tell); }

 private:
  Response route(const Request& request, engine::UnixMillis now);
  AdminCall call(const Request& request, const Target& target, engine::UnixMillis now);
  void note(const Request& request, const Response& response, engine::UnixMillis now);

  engine::Engine& engine_;
  AccessKeys& keys_;
  AuditQueue* const audit_queue_;
  std::mutex policy_changes_;
  PortalLinks links_;
  std::string base_url_;
  std::int64_t link_expires_s_ = 900;
  std::function<void(const std::string&)> user_removed_ = [](const std::string&) {};
};

}  // namespace watchword::api
