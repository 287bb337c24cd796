#include <array>
#include <utility>

#include "api/access_keys.h"

namespace watchword::api {
namespace {

constexpr std::array<std::pair<Scope, std::string_view>, 6> scope_table = {{{Scope::verify, "verify"},
                                                                            {Scope::enroll, "enroll"},
                                                                            {Scope::read, "read"},
                                                                            {Scope::admin, "admin"},
                                                                            {Scope::audit, "audit"},
                                                                            {Scope::metrics, "metrics"}}};

constexpr Scopes bit(Scope scope) {
  return static_cast<Scopes>(scope);
}

}  // namespace

std::string_view to_string(Scope scope) {
  for (const auto& [value, name] : scope_table) {
    if (value == scope) return name;
  }
  return "unknown";
}

std::optional<Scope> parse_scope(std::string_view text) {
  for (const auto& [value, name] : scope_table) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::vector<std::string> scope_names(Scopes scopes) {
  std::vector<std::string> names;
  for (const auto& [value, name] : scope_table) {
    if ((scopes & bit(value)) != 0) names.emplace_back(name);
  }
  return names;
}

bool allows(Scopes granted, Scope wanted) {
  return (granted & (bit(wanted) | bit(Scope::admin))) != 0;
}

}  // namespace watchword::api
