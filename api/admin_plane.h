// Everything but verification: users, devices, policy, keys. Runs on worker threads and may block on the store; thread-safe.
#pragma once

#include <string_view>

#include "api/access_keys.h"
#include "api/message.h"
#include "engine/engine.h"

namespace watchword::api {

class AdminPlane {
 public:
  AdminPlane(engine::Engine& engine, AccessKeys& keys) : engine_(engine), keys_(keys) {}

  // The caller is authenticated; scopes are checked here, a route at a time. Unknown path: 404 problem; wrong method: 405 with Allow.
  // Never throws: a fault of the store is a 503 problem.
  Response handle(const Request& request, engine::UnixMillis now) noexcept;

 private:
  engine::Engine& engine_;
  AccessKeys& keys_;
};

}  // namespace watchword::api
