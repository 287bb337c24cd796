#include "api/admin_route.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

using Strings = std::vector<std::string>;

TEST(Target, SeparatesAtRawSlashesOnly) {
  EXPECT_EQ(parse_target("/v1/users/a%2Fb/devices")->segments, (Strings{"v1", "users", "a/b", "devices"}));
  EXPECT_EQ(parse_target("/v1/users/")->segments, (Strings{"v1", "users", ""}));
  EXPECT_EQ(parse_target("/")->segments, Strings{""});
}

TEST(Target, DecodesWhatUsersAreMadeOf) {
  EXPECT_EQ(parse_target("/v1/users/zo%C3%AB%40example.org")->segments.back(), "zoë@example.org");
  EXPECT_EQ(parse_target("/v1/users/a+b%2bc")->segments.back(), "a+b+c");
  EXPECT_EQ(parse_target("/v1/users/a%20b%25")->segments.back(), "a b%");
  EXPECT_EQ(parse_target("/v1/users/a%3Fb")->segments.back(), "a?b");
}

TEST(Target, RefusesInvalidEncodingAndForeignCharacters) {
  for (const std::string_view text : {"", "v1/users", "*", "/a%", "/a%2", "/a%zz", "/a%+1", "/a% 1", "/a b", "/a#b", "/a\tb",
                                      "/a\x7f", "/a?x=%", "/a?%zz=1"}) {
    EXPECT_FALSE(parse_target(text).has_value()) << text;
  }
}

TEST(Target, HasEachQueryParameterOnce) {
  const Target target = *parse_target("/v1/users?prefix=a%26b+c&limit=5&cursor=");
  ASSERT_EQ(target.query.size(), 3u);
  EXPECT_EQ(target.query[0], (std::pair<std::string, std::string>("prefix", "a&b c")));
  EXPECT_EQ(target.query[2].second, "");
  EXPECT_EQ(parse_target("/v1/users?limit=5&limit=6").error().field, "limit");
  EXPECT_EQ(parse_target("/v1/users?limit=5&l%69mit=5").error().field, "limit");
  EXPECT_TRUE(parse_target("/v1/users?")->query.empty());
}

TEST(MatchPath, CapturesWhatStandsInBraces) {
  const Strings segments = {"v1", "users", "alice", "devices", "1"};
  EXPECT_EQ(match_path("/v1/users/{user}/devices/{device}", segments), (Strings{"alice", "1"}));
  EXPECT_FALSE(match_path("/v1/users/{user}/devices", segments).has_value());
  EXPECT_FALSE(match_path("/v1/users/{user}/tokens/{device}", segments).has_value());
  EXPECT_FALSE(match_path("/v1/users/{user}", {"v1", "users", ""}).has_value());
  EXPECT_EQ(match_path("/v1/users", {"v1", "users"}), Strings{});
}

std::optional<RequestFault> limit_fault(std::string_view text) {
  const Target target = *parse_target(text);
  QueryFields query(target);
  query.number("limit", 1, 1000);
  return query.finish();
}

TEST(QueryFields, TakeDecimalNumbersInRangeOnly) {
  EXPECT_FALSE(limit_fault("/?limit=1").has_value());
  EXPECT_FALSE(limit_fault("/?limit=1000").has_value());
  EXPECT_FALSE(limit_fault("/").has_value());
  for (const std::string_view text : {"/?limit=0", "/?limit=1001", "/?limit=", "/?limit", "/?limit=-1", "/?limit=+5",
                                      "/?limit=5x", "/?limit=0x5", "/?limit=99999999999999999999", "/?limit=%205"}) {
    ASSERT_TRUE(limit_fault(text).has_value()) << text;
    EXPECT_EQ(limit_fault(text)->field, "limit") << text;
  }
}

TEST(QueryFields, NameAnUnknownParameter) {
  EXPECT_EQ(limit_fault("/?page=2")->field, "page");
}

TEST(PercentEncode, IsUndoneByParsing) {
  std::string every_byte;
  for (int byte = 1; byte < 256; ++byte) every_byte.push_back(static_cast<char>(byte));
  EXPECT_EQ(parse_target("/" + percent_encode(every_byte))->segments, Strings{every_byte});
  EXPECT_EQ(percent_encode("a/b zoë~"), "a%2Fb%20zo%C3%AB~");
}

}  // namespace
}  // namespace watchword::api
