#include "api/trusted_proxy.h"

#include <algorithm>
#include <stdexcept>

#include "api/browser.h"
#include "api/digest.h"

namespace watchword::api {
namespace {

namespace ip = boost::asio::ip;

}  // namespace

TrustedProxy::TrustedProxy(const ProxyEntryOptions& options) : options_(options) {
  if (configured() && options_.shared_secret.empty() && options_.client_certificate.empty()) {
    throw std::runtime_error("portal.proxy needs shared_secret_file or client_certificate");
  }
  for (const std::string& text : options_.addresses) {
    const std::optional<Network> network = Network::parse(text);
    if (!network) throw std::runtime_error("portal.proxy.addresses: \"" + text + "\" is no address and no network");
    networks_.push_back(*network);
  }
}

bool TrustedProxy::proven(const BrowserSide& browser) const {
  if (!options_.client_certificate.empty() && browser.certificate != options_.client_certificate) return false;
  if (options_.shared_secret.empty()) return true;
  const HeaderField secret = header_field(browser.head, options_.secret_header);
  // Both digests have one length, so that nothing is told of the secret's.
  return secret.count == 1 && equal_in_constant_time(sha256(secret.text), sha256(options_.shared_secret));
}

std::optional<engine::UserName> TrustedProxy::user(const Request& request) const {
  if (!configured()) return std::nullopt;
  boost::system::error_code error;
  const ip::address peer = ip::make_address(request.browser.peer, error);
  if (error) return std::nullopt;
  const bool known =
      std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) { return network.contains(peer); });
  if (!known || !proven(request.browser)) return std::nullopt;
  const HeaderField name = header_field(request.browser.head, options_.user_header);
  // Twice: one of them may be the client's own.
  return name.count == 1 ? engine::UserName::parse(name.text) : std::nullopt;
}

}  // namespace watchword::api
