#include "engine/types.h"

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include <algorithm>
#include <string>
#include <vector>

namespace watchword::engine {
namespace {

TEST(Code, IsSixToEightAsciiDigitsAndNothingElse) {
  EXPECT_EQ(Code::parse("000000")->value, 0u);
  EXPECT_EQ(Code::parse("00000000")->digits, 8);
  EXPECT_EQ(Code::parse("07081804")->value, 7081804u);
  for (const char* wrong : {"", "12345", "123456789", " 123456", "123456 ", "123 456", "+12345", "-123456", "12345a",
                            "0x1234", "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x93", "123456\n"}) {
    EXPECT_FALSE(Code::parse(wrong)) << wrong;
  }
  EXPECT_FALSE(Code::parse(std::string_view("12345\0", 6)));
}

TEST(User, IsOneTo256BytesOfPrintableUtf8) {
  for (const std::string good : {"a", "zoë", "名前", "a/b", "a b", "a%2Fb", "😀"}) EXPECT_TRUE(valid_user(good)) << good;
  EXPECT_TRUE(valid_user(std::string(256, 'x')));
  EXPECT_FALSE(valid_user(std::string(257, 'x')));
  EXPECT_FALSE(valid_user(""));
  EXPECT_FALSE(valid_user(std::string_view("a\0b", 3)));
  for (const char* wrong :
       {"a\nb", "a\x7f", "\xc2\x85", "\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    EXPECT_FALSE(valid_user(wrong));
  }
}

TEST(DeviceName, IsCountedInCharacters) {
  std::string name;
  for (int i = 0; i < 64; ++i) name += "😀";
  EXPECT_TRUE(valid_device_name(name));
  EXPECT_FALSE(valid_device_name(name + "x"));
  EXPECT_FALSE(valid_device_name(""));
}

TEST(DeviceId, IsSixteenLowerCaseHexadecimalDigits) {
  EXPECT_EQ(DeviceId{0xab}.text(), "00000000000000ab");
  EXPECT_EQ(DeviceId::parse("00000000000000ab")->value, 0xabu);
  for (const char* wrong : {"", "ab", "00000000000000AB", "00000000000000ag", "000000000000000ab", "0000000000000000"}) {
    EXPECT_FALSE(DeviceId::parse(wrong)) << wrong;
  }
}

TEST(Step, IsWideEnoughForLongAfter2038) {
  EXPECT_EQ(step_at({20'000'000'000'000}, 30), 0x27BC86AA);
  EXPECT_EQ(step_at({29'999}, 30), 0);
  EXPECT_EQ(step_at({30'000}, 30), 1);
  EXPECT_EQ(step_at({(std::int64_t{1} << 40) * 15'000}, 15), std::int64_t{1} << 40);
}

TEST(Algorithm, IsSpelledExactly) {
  EXPECT_EQ(parse_algorithm("SHA512"), Algorithm::sha512);
  for (const char* wrong : {"sha1", "SHA-1", "MD5", "", "SHA1 ", "SHA384"}) EXPECT_FALSE(parse_algorithm(wrong)) << wrong;
  EXPECT_EQ(made_secret_bytes(Algorithm::sha1), 20u);
  EXPECT_EQ(made_secret_bytes(Algorithm::sha256), 32u);
  EXPECT_EQ(made_secret_bytes(Algorithm::sha512), 64u);
}

TEST(Parameters, KeepToTheBounds) {
  for (const unsigned digits : {5u, 9u, 10u}) EXPECT_FALSE(valid({.digits = static_cast<std::uint8_t>(digits)}));
  for (const unsigned period : {0u, 14u, 301u}) EXPECT_FALSE(valid({.period_s = static_cast<std::uint16_t>(period)}));
  EXPECT_TRUE(valid({.digits = 8, .period_s = 15}));
  EXPECT_TRUE(valid({.digits = 7, .period_s = 300}));
}

TEST(Secrets, AMillionOfThemAreAllDifferent) {
  std::vector<std::vector<std::uint8_t>> made;
  for (int i = 0; i < 1'000'000; ++i) made.push_back(SecretBytes::random(20).bytes());
  std::sort(made.begin(), made.end());
  EXPECT_EQ(std::adjacent_find(made.begin(), made.end()), made.end());
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
TEST(Secrets, AGeneratorThatFailsIsAFaultAndNothingElseIsTakenInstead) {
  static const RAND_METHOD broken{nullptr, [](unsigned char*, int) { return 0; }, nullptr,
                                  nullptr, [](unsigned char*, int) { return 0; }, [] { return 0; }};
  const RAND_METHOD* const usual = RAND_get_rand_method();
  RAND_set_rand_method(&broken);
  EXPECT_THROW(SecretBytes::random(20), std::runtime_error);
  EXPECT_THROW(random_nonzero_u64(), std::runtime_error);
  RAND_set_rand_method(usual);
  EXPECT_EQ(SecretBytes::random(20).size(), 20u);
}
#pragma GCC diagnostic pop

}  // namespace
}  // namespace watchword::engine
