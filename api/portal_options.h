// What an organisation decides about the portal and the console; [portal] of the configuration file.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "api/access_keys.h"

namespace watchword::api {

// Entry behind a single-sign-on proxy: who comes from one of these addresses and proves to be the proxy may say who the
// person is. The proof is the secret, a client certificate, or where both are configured both.
struct ProxyEntryOptions {
  std::string user_header;             // empty: nobody enters this way
  std::vector<std::string> addresses;  // "10.1.2.0/24", "2001:db8::/64", "127.0.0.1"
  std::string secret_header = "X-Watchword-Proxy-Secret";
  std::string shared_secret;       // at least 32 characters; empty: not asked for
  std::string client_certificate;  // name of the proxy's own; empty: not asked for
};

// Entry by the organisation's OpenID provider (authorization code with PKCE).
struct OidcOptions {
  std::string issuer;  // empty: nobody enters this way
  std::string client_id;
  std::string client_secret;  // empty: a public client, PKCE alone
  std::string redirect_uri;   // empty: base_url + /portal/oidc/callback
  std::string user_claim = "preferred_username";
  std::string groups_claim = "groups";
  std::vector<std::string> scopes = {"openid", "profile"};
  // Who is in one of the groups may open the console with these scopes; the union of all that match.
  std::vector<std::pair<std::string, Scopes>> console_groups;
  // A console session ends then: whoever left the group has to come by the provider again, and is not let in.
  std::int64_t console_session_s = 1800;
  std::string ca_file;              // empty: the system's certificate authorities
  std::chrono::seconds timeout{5};  // of one question to the provider, from the connection to the last byte
  std::int64_t clock_skew_s = 60;
};

struct PortalOptions {
  std::filesystem::path assets_dir;  // the built pages
  std::string base_url;              // "https://mfa.example.com"; empty: the first listener that serves the portal
  std::string contact;               // shown where somebody else must help; may be empty
  std::chrono::seconds idle{900};
  std::chrono::seconds absolute{3600};
  std::chrono::seconds step_up{300};  // how long a code of an existing device counts
  std::int64_t link_expires_s = 900;
  std::size_t sessions_max = 100'000;
  ProxyEntryOptions proxy;
  OidcOptions oidc;
};

}  // namespace watchword::api
