#include "api/routes.h"

#include <algorithm>

#include "api/api_documents.h"
#include "api/header_text.h"

namespace watchword::api {
namespace {

bool serves(std::uint8_t planes, Plane plane) {
  return (planes & static_cast<std::uint8_t>(plane)) != 0;
}

}  // namespace

Route route_of(std::string_view target, std::uint8_t planes) {
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/v1/verify" && serves(planes, Plane::verify)) return Route::verify;
  if (path == "/v1/verify/batch" && serves(planes, Plane::verify)) return Route::batch;
  if (path.starts_with("/v1/") && serves(planes, Plane::admin)) return Route::managed;
  const bool page = path == "/portal" || path == "/console" || path.starts_with("/portal/") ||
                    path.starts_with("/console/") || path.starts_with("/assets/");
  if (page && serves(planes, Plane::portal)) return Route::portal;
  if (path == "/metrics" && serves(planes, Plane::metrics)) return Route::metrics;
  if (ApiDocuments::has(path) && (serves(planes, Plane::verify) || serves(planes, Plane::admin))) return Route::documents;
  if (path == "/healthz") return Route::health;
  if (path == "/readyz") return Route::readiness;
  return Route::unknown;
}

std::string_view template_of(Route route) {
  switch (route) {
    case Route::health:
      return "/healthz";
    case Route::readiness:
      return "/readyz";
    case Route::verify:
      return "/v1/verify";
    case Route::batch:
      return "/v1/verify/batch";
    case Route::metrics:
      return "/metrics";
    case Route::documents:
      return "/docs";
    case Route::managed:
    case Route::portal:
    case Route::unknown:
      break;
  }
  return {};
}

bool needs_key(Route route) {
  return route == Route::verify || route == Route::batch || route == Route::managed || route == Route::metrics;
}

bool hashes_slowly(Method method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  // A code that is given in the portal may be a recovery code.
  return method == Method::post && (path.ends_with("/recovery-codes") || path == "/portal/api/code");
}

bool works_in_bulk(Method method, std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/v1/backups") return method == Method::post;
  return path == "/v1/users" || path == "/v1/audit" || path == "/v1/export";
}

bool asks_provider(std::string_view target) {
  return target.starts_with("/portal/oidc/");
}

bool has_query(std::string_view target) {
  return target.find('?') != std::string_view::npos;
}

std::string_view bearer_key(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (!equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return {};
  const std::size_t key = authorization.find_first_not_of(' ', scheme.size());
  return key == std::string_view::npos ? std::string_view() : authorization.substr(key);
}

}  // namespace watchword::api
