// Which part of the server answers a path. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "api/message.h"
#include "api/server.h"

namespace watchword::api {

enum class Route : std::uint8_t {
  health,     // alive; no key
  readiness,  // fit to be asked; no key
  verify,
  batch,
  managed,    // everything else under /v1/: AdminPlane
  documents,  // the OpenAPI document and its pages; no key
  portal,     // pages and their APIs: PortalPlane; sessions instead of keys
  metrics,    // what Prometheus scrapes
  unknown,
};

inline constexpr std::size_t body_bytes_max = 64 * 1024;
inline constexpr std::size_t batch_body_bytes_max = 8 * 1024 * 1024;

// By the target's path, for a listener that serves `planes`: what it does not serve is not there.
Route route_of(std::string_view target, std::uint8_t planes);
// As metrics name it, where the route says it all; "" for what workers answer: they know their paths.
std::string_view template_of(Route route);
bool needs_key(Route route);
// A managed request that computes slow hashes: for the pool that is there for them.
bool hashes_slowly(Method method, std::string_view target);
// One that goes over many rows, or copies the whole store: for the pool that stands back.
bool works_in_bulk(Method method, std::string_view target);
// A request that may wait for the OpenID provider: for the pool that is there for it.
bool asks_provider(std::string_view target);
bool has_query(std::string_view target);
// The key of "Bearer KEY" (RFC 6750; the scheme in any case). Empty: there is none.
std::string_view bearer_key(std::string_view authorization);

}  // namespace watchword::api
