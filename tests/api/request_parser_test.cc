#include "api/request_parser.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

std::optional<RequestHead> head_of(std::string_view input) {
  HeadFault fault;
  return parse_head(input, fault);
}
unsigned refusal_of(std::string_view input) {
  HeadFault fault;
  EXPECT_FALSE(parse_head(input, fault).has_value()) << input;
  return fault.status;
}
std::string request_with(std::string_view lines) {
  return "POST /v1/verify HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n";
}
// Several lines at once, so that a test reads as a list.
void expect_bad(std::string_view lines) {
  EXPECT_EQ(refusal_of(request_with(lines)), 400U) << lines;
}

TEST(RequestParser, FindsTheTraceOfARequestAndLeavesMalformedOnesOut) {
  const auto trace_of = [](std::string_view lines) {
    const std::string text = request_with(lines);
    return std::string(head_of(text)->trace);
  };
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  const std::string good = "traceparent: 00-" + id + "-b7ad6b7169203331-01\r\n";
  EXPECT_EQ(trace_of(good), id);
  EXPECT_EQ(trace_of("X-Request-Id: abc-1\r\n" + good), id);
  EXPECT_EQ(trace_of(good + "X-Request-Id: abc-1\r\n"), id);
  EXPECT_EQ(trace_of("X-Request-Id: abc-1\r\n"), "abc-1");
  EXPECT_EQ(trace_of("X-Request-Id: " + std::string(129, 'a') + "\r\n"), "");
  EXPECT_EQ(trace_of("X-Request-Id: a b\r\n"), "");
  EXPECT_EQ(trace_of("X-Request-Id: caf\xc3\xa9\r\n"), "");
  EXPECT_EQ(trace_of("traceparent: cc-" + id + "-b7ad6b7169203331-01-more\r\n"), id);
  for (const std::string& bad : {"ff-" + id + "-b7ad6b7169203331-01", "00-" + id + "-0000000000000000-01",
                                 "00-" + std::string(32, '0') + "-b7ad6b7169203331-01", "00-" + id + "-b7ad6b7169203331-0",
                                 "00-" + id + "-b7ad6b7169203331-01-x", std::string("00-0AF7-b7ad6b7169203331-01")}) {
    EXPECT_EQ(trace_of("traceparent: " + bad + "\r\n"), "") << bad;
  }
}

TEST(RequestParser, SeesWhatMatters) {
  const std::string text = request_with(
      "Authorization: Bearer key\r\ncontent-type:  application/json \r\nIF-MATCH: \"a\"\r\nContent-Length: 3\r\n");
  const std::string input = text + "abc";
  const auto head = head_of(input);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->bytes, text.size());
  EXPECT_EQ(head->method, Method::post);
  EXPECT_EQ(head->target, "/v1/verify");
  EXPECT_EQ(head->authorization, "Bearer key");
  EXPECT_EQ(head->content_type, "application/json");
  EXPECT_EQ(head->if_match, "\"a\"");
  EXPECT_EQ(head->content_length, 3U);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_FALSE(head->chunked);
}

TEST(RequestParser, WaitsForTheWholeHead) {
  const std::string text = request_with("Content-Length: 0\r\n");
  for (std::size_t bytes = 0; bytes < text.size(); ++bytes) EXPECT_EQ(refusal_of(text.substr(0, bytes)), 0U) << bytes;
  EXPECT_TRUE(head_of(text));
}

TEST(RequestParser, KnowsWhetherTheConnectionStays) {
  EXPECT_TRUE(head_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n")->keep_alive);
  EXPECT_FALSE(head_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")->keep_alive);
  EXPECT_FALSE(head_of("GET / HTTP/1.0\r\n\r\n")->keep_alive);
  EXPECT_TRUE(head_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->keep_alive);
}

TEST(RequestParser, RefusesWhatLeavesTheLengthOpen) {
  expect_bad("Content-Length: 3\r\nContent-Length: 3\r\n");
  expect_bad("Content-Length: 3\r\nContent-Length: 4\r\n");
  expect_bad("Content-Length: 3, 3\r\n");
  expect_bad("Content-Length: -3\r\n");
  expect_bad("Content-Length: +3\r\n");
  expect_bad("Content-Length: 0x3\r\n");
  expect_bad("Content-Length: 99999999999999999999\r\n");
  expect_bad("Content-Length: \r\n");
  expect_bad("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n");
  expect_bad("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n");
  expect_bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
  EXPECT_EQ(refusal_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of(request_with("Transfer-Encoding: gzip, chunked\r\n")), 501U);
  EXPECT_EQ(refusal_of(request_with("Transfer-Encoding: identity\r\n")), 501U);
}

TEST(RequestParser, RefusesMalformedHeads) {
  expect_bad("Host: b\r\n");
  expect_bad("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n");
  expect_bad("Content-Type: application/json\r\nContent-Type: text/plain\r\n");
  expect_bad("X-Folded: a\r\n b\r\n");
  expect_bad("Authorization: Bearer\r\n key\r\n");
  expect_bad("X-Space : a\r\n");
  expect_bad("no colon\r\n");
  expect_bad(": no name\r\n");
  expect_bad(std::string_view("X-Null: a\0b\r\n", 13));
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET / HTTP/2.0\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"), 400U);
  EXPECT_EQ(refusal_of(request_with("Expect: wonders\r\n")), 417U);
}

TEST(RequestParser, TellsAtOnceWhatIsNoHttp) {
  EXPECT_EQ(refusal_of(std::string_view("\x16\x03\x01\x02", 4)), 400U);
  EXPECT_EQ(refusal_of("HELLO\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET /\r\n"), 400U);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\n"), 400U);
  EXPECT_EQ(refusal_of(std::string_view("\0", 1)), 400U);
}

TEST(RequestParser, BoundsTheHead) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  EXPECT_EQ(refusal_of(start + std::string(head_bytes_max, 'x')), 431U);
  const std::string fits = start + std::string(head_bytes_max - start.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_TRUE(head_of(fits));
  EXPECT_EQ(refusal_of(start + "x" + fits.substr(start.size())), 431U);
  std::string lines;
  for (unsigned i = 0; i < header_lines_max; ++i) lines += "A: b\r\n";
  EXPECT_EQ(refusal_of(request_with(lines)), 431U);
}

TEST(RequestParser, TakesTheAbsoluteFormOfATarget) {
  EXPECT_EQ(head_of("GET http://a.example/healthz?x HTTP/1.1\r\nHost: a\r\n\r\n")->target, "/healthz?x");
  EXPECT_EQ(head_of("GET http://a.example HTTP/1.1\r\nHost: a\r\n\r\n")->target, "/");
}

TEST(RequestParser, SkipsEmptyLinesBeforeARequest) {
  EXPECT_EQ(blank_lines("\r\n\r\nGET"), 4U);
  EXPECT_EQ(blank_lines("\r"), 0U);
  EXPECT_EQ(refusal_of("\r"), 0U);
}

class ChunkedBodyTest : public testing::Test {
 protected:
  // Feeds `wire` in pieces of `piece` bytes, as sockets do.
  ChunkedBody::State feed(std::string_view wire, std::size_t piece, std::size_t limit = 1000) {
    ChunkedBody reader("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", limit);
    std::string kept;
    ChunkedBody::State state = ChunkedBody::State::incomplete;
    for (std::size_t at = 0; at < wire.size() && state == ChunkedBody::State::incomplete; at += piece) {
      kept += wire.substr(at, piece);
      std::size_t taken = 0;
      state = reader.feed(kept, taken);
      kept.erase(0, taken);
    }
    body = reader.body();
    rest = kept;
    return state;
  }
  std::string body, rest;
};

TEST_F(ChunkedBodyTest, IsTheSameInWhateverPieces) {
  const std::string wire = "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nAuthorization: x\r\n\r\n";
  for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
    EXPECT_EQ(feed(wire, piece), ChunkedBody::State::complete) << piece;
    EXPECT_EQ(body, "hello world");
  }
}

TEST_F(ChunkedBodyTest, LeavesTheNextRequestAlone) {
  EXPECT_EQ(feed("1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n", 1000), ChunkedBody::State::complete);
  EXPECT_EQ(rest, "GET / HTTP/1.1\r\n");
}

TEST_F(ChunkedBodyTest, RefusesBadChunks) {
  for (const char* wire : {"x\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFF\r\n", "1\r\nab\r\n0\r\n\r\n"}) {
    EXPECT_EQ(feed(wire, 1000), ChunkedBody::State::malformed) << wire;
  }
  EXPECT_EQ(feed("1;" + std::string(10'000, 'x'), 1000), ChunkedBody::State::malformed);
}

TEST_F(ChunkedBodyTest, BoundsTheBody) {
  EXPECT_EQ(feed("FFFFFFFF\r\n", 1000), ChunkedBody::State::too_large);
  EXPECT_EQ(feed("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 3, 10), ChunkedBody::State::too_large);
  EXPECT_EQ(feed("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", 3, 10), ChunkedBody::State::complete);
}

}  // namespace
}  // namespace watchword::api
