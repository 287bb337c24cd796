#include "bench/load/http_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace watchword::load {
namespace {

TEST(HttpAnswer, IsIncompleteUntilItsLastByte) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 2\r\n\r\n{}";
  HttpAnswer answer;
  for (std::size_t i = 0; i < text.size(); ++i)
    EXPECT_EQ(parse_answer(std::string_view(text).substr(0, i), answer), Parse::incomplete) << i;
  ASSERT_EQ(parse_answer(text + "HTTP/1.1", answer), Parse::complete);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(answer.bytes, text.size());
  EXPECT_FALSE(answer.close);
}

TEST(HttpAnswer, SkipsInterimOnesAndSeesTheConnectionsEnd) {
  HttpAnswer answer;
  ASSERT_EQ(parse_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                         answer),
            Parse::complete);
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.close);
}

TEST(HttpAnswer, RefusesWhatHasNoPlainLength) {
  HttpAnswer answer;
  EXPECT_EQ(parse_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", answer), Parse::malformed);
  EXPECT_EQ(parse_answer("HTTP/1.1 200 OK\r\n\r\n", answer), Parse::malformed);
  EXPECT_EQ(parse_answer("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", answer), Parse::malformed);
  EXPECT_EQ(parse_answer("SMTP ready, what do you want?\r\n\r\n", answer), Parse::malformed);
}

TEST(AnswerParser, TellsWhatParsingEachWouldTell) {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: ";
  std::vector<std::string> texts;
  // All lengths, one that is the front of another, interim answers, an end, two lengths, and what is none.
  for (const int length : {2, 3, 20, 2, 11, 12, 13, 14, 15, 2, 20, 3, 0})
    texts.push_back(head + std::to_string(length) + "\r\n\r\n" + std::string(length, 'x'));
  texts.insert(texts.end(),
               {"HTTP/1.1 100 Continue\r\n\r\n" + texts[0], "HTTP/1.0 503 Busy\r\nContent-Length: 1\r\n\r\n-",
                "HTTP/1.1 200 OK\r\n\r\n", head + "4\r\nContent-Length: 2\r\n\r\n{}{}", head + "-1\r\n\r\n",
                head + "99999999999999999999999\r\n\r\n", head + "2\r\nX: " + std::string(2100, 'y') + "\r\n\r\n{}"});
  AnswerParser parser;
  for (int round = 0; round < 3; ++round) {
    for (const std::string& text : texts) {
      for (std::size_t bytes = 0; bytes <= text.size() + 1; ++bytes) {
        const std::string in = (text + "H").substr(0, bytes);
        HttpAnswer parsed, expected;
        ASSERT_EQ(parser.parse(in, parsed), parse_answer(in, expected)) << in;
        if (parse_answer(in, expected) != Parse::complete) continue;
        EXPECT_EQ(parsed.status, expected.status);
        EXPECT_EQ(parsed.body, expected.body);
        EXPECT_EQ(parsed.bytes, expected.bytes);
        EXPECT_EQ(parsed.close, expected.close);
      }
    }
  }
}

TEST(TextField, FindsOneFieldAfterTheOther) {
  const std::string_view json = R"({"results":[{"result":"accepted"},{"result": "replayed"}]})";
  std::size_t at = 0;
  EXPECT_EQ(text_field(json, "\"result\"", at), "accepted");
  EXPECT_EQ(text_field(json, "\"result\"", at), "replayed");
  EXPECT_EQ(text_field(json, "\"result\"", at), "");
}

}  // namespace
}  // namespace watchword::load
