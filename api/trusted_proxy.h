// A single-sign-on proxy in front of the portal, and when it is believed: by address, and by a secret that it adds, its
// client certificate, or both.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/message.h"
#include "api/network.h"
#include "api/portal_options.h"
#include "engine/types.h"

namespace watchword::api {

class TrustedProxy {
 public:
  // Throws std::runtime_error where an address is none, or nothing proves the proxy.
  explicit TrustedProxy(const ProxyEntryOptions& options);
  bool configured() const { return !options_.user_header.empty(); }
  // The person that the proxy names; nullopt where the request is not the proxy's, or names nobody.
  std::optional<engine::UserName> user(const Request& request) const;

 private:
  bool proven(const BrowserSide& browser) const;
  const ProxyEntryOptions options_;
  std::vector<Network> networks_;
};

}  // namespace watchword::api
