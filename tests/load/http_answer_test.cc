#include "bench/load/http_answer.h"

#include <gtest/gtest.h>

#include <string>

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

TEST(TextField, FindsOneFieldAfterTheOther) {
  const std::string_view json = R"({"results":[{"result":"accepted"},{"result": "replayed"}]})";
  std::size_t at = 0;
  EXPECT_EQ(text_field(json, "\"result\"", at), "accepted");
  EXPECT_EQ(text_field(json, "\"result\"", at), "replayed");
  EXPECT_EQ(text_field(json, "\"result\"", at), "");
}

}  // namespace
}  // namespace watchword::load
