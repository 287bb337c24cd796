// The configuration file's table [portal.oidc].
#include <algorithm>
#include <chrono>
#include <optional>

#include "app/config_reader.h"

namespace watchword::app {
namespace {

void read_console_groups(const Reader& in, const toml::node& node, api::OidcOptions& oidc) {
  const toml::table* const groups = node.as_table();
  if (groups == nullptr)
    in.fail(node, "portal.oidc.console_groups must be a table such as helpdesk = [\"read\", \"enroll\"]");
  for (const auto& [name, value] : *groups) {
    const std::string group(name.str());
    api::Scopes scopes = 0;
    for (const std::string& text : in.texts("portal.oidc.console_groups." + group, value)) {
      const std::optional<api::Scope> scope = api::parse_scope(text);
      if (!scope) in.fail(value, "\"" + text + "\" is no scope; allowed: verify, enroll, read, admin, audit, metrics");
      scopes = static_cast<api::Scopes>(scopes | static_cast<api::Scopes>(*scope));
    }
    oidc.console_groups.emplace_back(group, scopes);
  }
}

}  // namespace

void read_oidc(const Reader& in, const toml::node& node, api::OidcOptions& oidc) {
  const auto text = [&in](const char* key, std::string& out) {
    return [&in, key, &out](const toml::node& value) { out = in.text(std::string("portal.oidc.") + key, value); };
  };
  in.table("portal.oidc", node,
           {{"issuer", text("issuer", oidc.issuer)},
            {"client_id", text("client_id", oidc.client_id)},
            {"client_secret_file",
             [&](const auto& value) { oidc.client_secret = in.secret_file("portal.oidc.client_secret_file", value); }},
            {"redirect_uri", text("redirect_uri", oidc.redirect_uri)},
            {"user_claim", text("user_claim", oidc.user_claim)},
            {"groups_claim", text("groups_claim", oidc.groups_claim)},
            {"scopes", [&](const auto& value) { oidc.scopes = in.texts("portal.oidc.scopes", value); }},
            {"console_groups", [&](const auto& value) { read_console_groups(in, value, oidc); }},
            {"console_session_s",
             [&](const auto& value) {
               oidc.console_session_s = in.number<std::int64_t>("portal.oidc.console_session_s", value, 60, 86'400);
             }},
            {"ca_file", text("ca_file", oidc.ca_file)},
            {"timeout_s",
             [&](const auto& value) {
               oidc.timeout = std::chrono::seconds(in.number<std::int64_t>("portal.oidc.timeout_s", value, 1, 60));
             }},
            {"clock_skew_s", [&](const auto& value) {
               oidc.clock_skew_s = in.number<std::int64_t>("portal.oidc.clock_skew_s", value, 0, 600);
             }}});
  if (std::find(oidc.scopes.begin(), oidc.scopes.end(), "openid") == oidc.scopes.end()) {
    in.fail(node, "portal.oidc.scopes needs \"openid\": without it there is no ID token");
  }
  if (!oidc.issuer.starts_with("https://") || oidc.client_id.empty()) {
    in.fail(node, "portal.oidc needs client_id and an issuer that begins with https://");
  }
}

}  // namespace watchword::app
