#include "api/trusted_proxy.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "api/browser.h"
#include "api/digest.h"

namespace watchword::api {
namespace {

namespace ip = boost::asio::ip;

// A v4 address that came over a v6 socket is the v4 address.
ip::address plain(const ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

template <class Bytes>
bool same_prefix(const Bytes& a, const Bytes& b, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff << (8 - rest));
  return (a[whole] & mask) == (b[whole] & mask);
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  boost::system::error_code error;
  const auto base = ip::make_address(std::string(text.substr(0, slash)), error);
  if (error) return std::nullopt;
  Network network{.base = base, .prefix_bits = base.is_v4() ? 32U : 128U};
  if (slash == std::string_view::npos) return network;
  const unsigned bits_max = network.prefix_bits;
  const std::string_view bits = text.substr(slash + 1);
  const auto [stop, fault] = std::from_chars(bits.data(), bits.data() + bits.size(), network.prefix_bits);
  if (fault != std::errc{} || stop != bits.data() + bits.size() || network.prefix_bits > bits_max) return std::nullopt;
  return network;
}

bool Network::contains(const ip::address& address) const {
  if (address.is_v4() != base.is_v4()) return false;
  return base.is_v4() ? same_prefix(base.to_v4().to_bytes(), address.to_v4().to_bytes(), prefix_bits)
                      : same_prefix(base.to_v6().to_bytes(), address.to_v6().to_bytes(), prefix_bits);
}

TrustedProxy::TrustedProxy(const ProxyEntryOptions& options) : options_(options) {
  for (const std::string& text : options_.addresses) {
    const std::optional<Network> network = Network::parse(text);
    if (!network) throw std::runtime_error("portal.proxy.addresses: \"" + text + "\" is no address and no network");
    networks_.push_back(*network);
  }
}

std::optional<engine::UserName> TrustedProxy::user(const Request& request) const {
  if (!configured()) return std::nullopt;
  boost::system::error_code error;
  const ip::address peer = ip::make_address(request.browser.peer, error);
  if (error) return std::nullopt;
  const bool known =
      std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) { return network.contains(plain(peer)); });
  const HeaderField secret = header_field(request.browser.head, options_.secret_header);
  // Both digests have one length, so that nothing is told of the secret's.
  const bool proven = secret.count == 1 && equal_in_constant_time(sha256(secret.text), sha256(options_.shared_secret));
  if (!known || !proven) return std::nullopt;
  const HeaderField name = header_field(request.browser.head, options_.user_header);
  // Twice: one of them may be the client's own.
  return name.count == 1 ? engine::UserName::parse(name.text) : std::nullopt;
}

}  // namespace watchword::api
