// The configuration file's table [portal].
#include "api/portal_links.h"
#include "api/trusted_proxy.h"
#include "app/config_reader.h"

namespace watchword::app {
namespace {

constexpr std::size_t proxy_secret_characters_min = 32;

void read_proxy(const Reader& in, const toml::node& node, api::ProxyEntryOptions& proxy) {
  const auto text = [&in](const char* key, std::string& out) {
    return [&in, key, &out](const toml::node& value) { out = in.text(std::string("portal.proxy.") + key, value); };
  };
  in.table("portal.proxy", node,
           {{"user_header", text("user_header", proxy.user_header)},
            {"secret_header", text("secret_header", proxy.secret_header)},
            {"client_certificate", text("client_certificate", proxy.client_certificate)},
            {"shared_secret_file",
             [&](const auto& value) {
               proxy.shared_secret = in.secret_file("portal.proxy.shared_secret_file", value);
               if (proxy.shared_secret.size() < proxy_secret_characters_min) {
                 in.fail(value, "the secret in portal.proxy.shared_secret_file must have 32 characters at least");
               }
             }},
            {"addresses", [&](const auto& value) {
               proxy.addresses = in.texts("portal.proxy.addresses", value);
               for (const std::string& address : proxy.addresses) {
                 if (!api::Network::parse(address))
                   in.fail(value, "\"" + address + "\" is no address and no network such as 10.0.0.0/8");
               }
             }}});
  const bool proof = !proxy.shared_secret.empty() || !proxy.client_certificate.empty();
  if (proxy.user_header.empty() || proxy.addresses.empty() || !proof) {
    in.fail(node, "portal.proxy needs user_header, addresses, and shared_secret_file or client_certificate");
  }
}

Keys portal_keys(const Reader& in, Config& config) {
  api::PortalOptions& portal = config.server.portal;
  const auto seconds = [&in](const char* key, std::chrono::seconds& out, std::int64_t least, std::int64_t most) {
    return [&in, key, &out, least, most](const toml::node& node) {
      out = std::chrono::seconds(in.number<std::int64_t>(std::string("portal.") + key, node, least, most));
    };
  };
  return {
      {"assets_dir", [&](const auto& node) { portal.assets_dir = in.text("portal.assets_dir", node); }},
      {"contact", [&](const auto& node) { portal.contact = in.text("portal.contact", node); }},
      {"base_url",
       [&](const auto& node) {
         portal.base_url = in.text("portal.base_url", node);
         while (portal.base_url.ends_with('/')) portal.base_url.pop_back();
         const bool http = portal.base_url.starts_with("http://") || portal.base_url.starts_with("https://");
         if (!portal.base_url.empty() && !http) in.fail(node, "portal.base_url must begin with https:// or http://");
       }},
      {"idle_s", seconds("idle_s", portal.idle, 1, 86'400)},
      {"absolute_s", seconds("absolute_s", portal.absolute, 1, 86'400)},
      {"step_up_s", seconds("step_up_s", portal.step_up, 1, 86'400)},
      {"link_expires_s",
       [&](const auto& node) {
         portal.link_expires_s =
             in.number<std::int64_t>("portal.link_expires_s", node, api::link_expires_s_min, api::link_expires_s_max);
       }},
      {"sessions_max",
       [&](const auto& node) { portal.sessions_max = in.number<std::size_t>("portal.sessions_max", node, 1, 10'000'000); }},
      {"proxy", [&](const auto& node) { read_proxy(in, node, portal.proxy); }},
      {"oidc", [&](const auto& node) { read_oidc(in, node, portal.oidc); }},
  };
}

}  // namespace

void read_portal(const Reader& in, const toml::node& node, Config& config) {
  in.table("portal", node, portal_keys(in, config));
  const api::PortalOptions& portal = config.server.portal;
  if (!portal.oidc.issuer.empty() && portal.oidc.redirect_uri.empty() && portal.base_url.empty()) {
    in.fail(node, "portal.oidc needs redirect_uri, or portal.base_url that it follows from");
  }
}

}  // namespace watchword::app
