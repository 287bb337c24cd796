#include "api/browser.h"

#include <gtest/gtest.h>

#include "api/trusted_proxy.h"

namespace watchword::api {
namespace {

constexpr std::string_view head =
    "GET / HTTP/1.1\r\nHost: mfa.example.org\r\ncookie: a=1; watchword_portal=xyz; watchword_portal2=no\r\n"
    "X-Twice: 1\r\nx-twice: 2\r\nAccept-Encoding: gzip;q=1.0, br;q=0, zstd\r\n\r\n";

TEST(Browser, ReadsHeaderFieldsInAnyCaseAndCountsThem) {
  EXPECT_EQ(header_field(head, "host").text, "mfa.example.org");
  EXPECT_EQ(header_field(head, "X-Twice").count, 2U);
  EXPECT_EQ(header_field(head, "X-Twice").text, "1");
  EXPECT_EQ(header_field(head, "X-Twic").count, 0U);
  EXPECT_EQ(header_field("", "Host").count, 0U);
}

TEST(Browser, TakesACookieByItsWholeName) {
  EXPECT_EQ(cookie(head, "watchword_portal"), "xyz");
  EXPECT_FALSE(cookie(head, "watchword"));
  EXPECT_FALSE(cookie("GET / HTTP/1.1\r\nCookie: a=1; a=2\r\n\r\n", "a")) << "two of one name: one is not ours";
}

TEST(Browser, KnowsWhichEncodingsAreTaken) {
  EXPECT_TRUE(accepts_encoding(head, "gzip"));
  EXPECT_TRUE(accepts_encoding(head, "zstd"));
  EXPECT_FALSE(accepts_encoding(head, "br"));
  EXPECT_FALSE(accepts_encoding("", "gzip"));
}

TEST(Network, ContainsItsAddressesAndNoOthers) {
  const auto in = [](const char* network, const char* address) {
    return Network::parse(network)->contains(boost::asio::ip::make_address(address));
  };
  EXPECT_TRUE(in("10.1.2.0/23", "10.1.3.255"));
  EXPECT_FALSE(in("10.1.2.0/23", "10.1.4.0"));
  EXPECT_TRUE(in("127.0.0.1", "127.0.0.1"));
  EXPECT_FALSE(in("127.0.0.1", "127.0.0.2"));
  EXPECT_TRUE(in("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(in("0.0.0.0/0", "::1"));
  EXPECT_TRUE(in("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(in("2001:db8::/33", "2001:db8:8000::1"));
  for (const char* const wrong : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "host", "10.0.0.0/8x"}) {
    EXPECT_FALSE(Network::parse(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace watchword::api
