// Networks of IP addresses: where a request may come from. Values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/ip/address.hpp>

namespace watchword::api {

// "10.0.0.0/8", "2001:db8::/32", "::1": a network, or one address. A v4 address is in v4 networks alone, also where it came
// over a v6 socket ("::ffff:10.0.0.1").
struct Network {
  boost::asio::ip::address base;
  unsigned prefix_bits = 0;

  static std::optional<Network> parse(std::string_view text);
  bool contains(const boost::asio::ip::address& address) const noexcept;
  // Bits set beyond the prefix: "10.1.2.3/8" is rather a slip than a network.
  bool has_host_bits() const;
  std::string text() const;  // what parse() takes; an address without its prefix where that is whole
};

}  // namespace watchword::api
