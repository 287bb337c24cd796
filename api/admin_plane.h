// Everything but verification: users, devices, policy, keys. Runs on worker threads and may block on the store; thread-safe.
#pragma once

#include <mutex>

#include "api/access_keys.h"
#include "api/message.h"
#include "engine/engine.h"

namespace watchword::api {

class AdminPlane {
 public:
  AdminPlane(engine::Engine& engine, AccessKeys& keys) : engine_(engine), keys_(keys) {}

  // The caller is authenticated; scopes are checked here, a route at a time. Unknown path: 404 problem; wrong method: 405
  // with Allow. HEAD is answered as GET, body included: the session leaves it out. Never throws: a fault of the store is a
  // 503 problem. The thread is registered (engine::RcuThread).
  Response handle(const Request& request, engine::UnixMillis now) noexcept;

 private:
  Response route(const Request& request, engine::UnixMillis now);

  engine::Engine& engine_;
  AccessKeys& keys_;
  std::mutex policy_changes_;
};

}  // namespace watchword::api
