#include "api/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace watchword::api {
namespace {

TEST(Digest, TextsAreEqualWhereEveryByteIs) {
  for (std::size_t length = 0; length <= 70; ++length) {
    std::string a(length, 'x');
    for (std::size_t i = 0; i < length; ++i) a[i] = static_cast<char>(37 * i);
    std::string b = a;
    EXPECT_TRUE(equal_in_constant_time(a, b)) << length;
    EXPECT_FALSE(equal_in_constant_time(a, b + "x")) << length;
    for (std::size_t at = 0; at < length; ++at) {
      for (const char bit : {'\x01', '\x80'}) {
        b[at] = static_cast<char>(b[at] ^ bit);
        EXPECT_FALSE(equal_in_constant_time(a, b)) << length << ' ' << at;
        b[at] = a[at];
      }
    }
  }
}

}  // namespace
}  // namespace watchword::api
