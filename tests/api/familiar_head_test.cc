#include "api/familiar_head.h"

#include <gtest/gtest.h>

#include <string>

namespace watchword::api::test {
namespace {

class FamiliarHeadTest : public ::testing::Test {
 protected:
  static std::string head(const std::string& length, const std::string& more = "", const std::string& key = "secret") {
    return "POST /v1/verify HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + key +
           "\r\nContent-Type: application/json\r\ncontent-Length: " + length + "\r\n" + more + "\r\n";
  }
  void learn(const std::string& text) {
    HeadFault fault;
    const auto parsed = parse_head(text, fault);
    ASSERT_TRUE(parsed);
    ASSERT_TRUE(familiar.learn(*parsed));
  }
  FamiliarHead familiar;
};

TEST_F(FamiliarHeadTest, KnowsAHeadAgainWhateverItsLength) {
  learn(head("47"));
  for (const std::string length : {"47", "48", "0", "9", "123", "65536", "1234567"}) {
    const std::string input = head(length) + "{\"body\":";
    const auto known = familiar.match(input);
    ASSERT_TRUE(known) << length;
    EXPECT_TRUE(familiar.gave(*known));
    HeadFault fault;
    const auto parsed = parse_head(input, fault);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(known->bytes, parsed->bytes);
    EXPECT_EQ(known->block, parsed->block);
    EXPECT_EQ(known->content_length, parsed->content_length);
    EXPECT_EQ(known->target, parsed->target);
    EXPECT_EQ(known->authorization, parsed->authorization);
    EXPECT_EQ(known->content_type, parsed->content_type);
    EXPECT_EQ(known->has_body(), parsed->has_body());
    EXPECT_FALSE(familiar.gave(*parsed));
    const auto extent = familiar.measure(input);
    ASSERT_TRUE(extent);
    EXPECT_EQ(extent->head_bytes, parsed->bytes);
    EXPECT_EQ(extent->body_bytes, parsed->content_length);
  }
}

TEST_F(FamiliarHeadTest, KnowsNothingThatDiffersOtherwise) {
  learn(head("47"));
  EXPECT_FALSE(familiar.match(""));
  const std::string whole = head("47");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) EXPECT_FALSE(familiar.match(whole.substr(0, bytes))) << bytes;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x40);
    EXPECT_FALSE(familiar.match(changed)) << i;
  }
  EXPECT_FALSE(familiar.match(head("47", "X: y\r\n")));
  EXPECT_FALSE(familiar.match(head("47", "", "other")));
}

TEST_F(FamiliarHeadTest, LeavesLengthsThatAreNotPlainToTheParser) {
  learn(head("47"));
  for (const std::string length :
       {"", " 47", "047", "00", "+47", "-1", "47 ", "4 7", "0x2f", "12345678", "47, 47", "47\r\nContent-Length: 5"}) {
    EXPECT_FALSE(familiar.match(head(length))) << length;
  }
}

TEST_F(FamiliarHeadTest, ComparesAsItStandsWhereALengthIsNotAlone) {
  // What else holds the words could be what another reader goes by.
  for (const std::string more :
       {"X-Note: content-length: 5\r\n", "Content-Length-Hint: 9\r\n", "X: transfer-encoding\r\n"}) {
    learn(head("47", more));
    EXPECT_FALSE(familiar.measure(head("47", more))) << more << " was not parsed yet";
    EXPECT_TRUE(familiar.match(head("47", more))) << more;
    EXPECT_FALSE(familiar.match(head("48", more))) << more;
    const auto extent = familiar.measure(head("47", more));
    ASSERT_TRUE(extent) << more;
    EXPECT_EQ(extent->head_bytes, head("47", more).size()) << more;
    EXPECT_EQ(extent->body_bytes, 47u) << more << " has a body all the same";
    EXPECT_FALSE(familiar.measure(head("48", more))) << more;
  }
  const std::string twice = head("47", "Content-Length: 47\r\n");
  HeadFault fault;
  EXPECT_FALSE(parse_head(twice, fault)) << "refused by the parser before it could be learnt";
}

TEST_F(FamiliarHeadTest, MeasuresALengthThatIsWrittenOddly) {
  for (const std::string length : {"047", "47 ", "\t47"}) {
    learn(head(length));
    const auto known = familiar.match(head(length));
    const auto extent = familiar.measure(head(length));
    ASSERT_TRUE(known && extent) << length;
    EXPECT_EQ(extent->head_bytes, known->bytes) << length;
    EXPECT_EQ(extent->body_bytes, known->content_length) << length;
    EXPECT_EQ(extent->body_bytes, 47u) << length;
  }
}

TEST_F(FamiliarHeadTest, DoesNotMeasureABodyInChunks) {
  const std::string chunked = "POST /v1/verify HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  learn(chunked);
  EXPECT_TRUE(familiar.match(chunked));
  EXPECT_FALSE(familiar.measure(chunked));
}

TEST_F(FamiliarHeadTest, KnowsAHeadWithoutALength) {
  const std::string get = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
  learn(get);
  const auto known = familiar.match(get + "GET");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->bytes, get.size());
  EXPECT_FALSE(known->has_body());
}

TEST_F(FamiliarHeadTest, ForgetsAndRemembersNoLongHead) {
  learn(head("47"));
  familiar.forget();
  EXPECT_FALSE(familiar.match(head("47")));
  learn(head("47"));
  HeadFault fault;
  const std::string text = head("47", "X: " + std::string(FamiliarHead::bytes_max, 'x') + "\r\n");
  const auto longer = parse_head(text, fault);
  ASSERT_TRUE(longer);
  EXPECT_FALSE(familiar.learn(*longer));
  EXPECT_TRUE(familiar.match(head("47")));
}

}  // namespace
}  // namespace watchword::api::test
