#include "api/network.h"

#include <algorithm>
#include <charconv>

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

template <class Bytes>
bool zero_after(const Bytes& bytes, unsigned bits) {
  for (unsigned i = bits; i < bytes.size() * 8; ++i) {
    if ((bytes[i / 8] >> (7 - i % 8) & 1) != 0) return false;
  }
  return true;
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

bool Network::contains(const ip::address& address) const noexcept {
  const ip::address meant = plain(address);
  if (meant.is_v4() != base.is_v4()) return false;
  return base.is_v4() ? same_prefix(base.to_v4().to_bytes(), meant.to_v4().to_bytes(), prefix_bits)
                      : same_prefix(base.to_v6().to_bytes(), meant.to_v6().to_bytes(), prefix_bits);
}

bool Network::has_host_bits() const {
  return base.is_v4() ? !zero_after(base.to_v4().to_bytes(), prefix_bits)
                      : !zero_after(base.to_v6().to_bytes(), prefix_bits);
}

std::string Network::text() const {
  const bool whole = prefix_bits == (base.is_v4() ? 32U : 128U);
  return base.to_string() + (whole ? std::string() : "/" + std::to_string(prefix_bits));
}

}  // namespace watchword::api
