#include "api/portal_routes.h"

#include <array>

#include "api/admin_route.h"

namespace watchword::api {
namespace {

constexpr auto templates = std::to_array<std::string_view>({
    "/portal/api/config",
    "/portal/api/session",
    "/portal/api/code",
    "/portal/api/devices",
    "/portal/api/devices/{device}",
    "/portal/api/devices/{device}/confirm",
    "/portal/api/devices/{device}/qr.svg",
    "/portal/api/recovery-codes",
    "/portal/oidc/login",
    "/portal/oidc/callback",
    "/console/api/session",
    "/console/api/metrics",
    "/console/api/metrics/history",
});

// What is left, the first that fits: files, and what the console passes on.
constexpr auto families =
    std::to_array<std::string_view>({"/console/api/v1", "/portal/api", "/console/api", "/portal", "/console", "/assets"});

}  // namespace

std::string_view portal_template(std::string_view path, const std::vector<std::string>& segments) {
  for (const std::string_view pattern : templates) {
    if (match_path(pattern, segments)) return pattern;
  }
  for (const std::string_view family : families) {
    if (path == family || (path.starts_with(family) && path[family.size()] == '/')) return family;
  }
  return {};
}

}  // namespace watchword::api
