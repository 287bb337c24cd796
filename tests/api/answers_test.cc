#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "api/header_text.h"
#include "api/json_text.h"
#include "api/problem.h"
#include "api/response_writer.h"
#include "api/routes.h"

namespace watchword::api {
namespace {

TEST(JsonText, SurvivesEveryCharacter) {
  std::string text;
  for (int c = 0; c < 0x80; ++c) text += static_cast<char>(c);
  text += "\xc3\xa4\xf0\x9f\x98\x80";
  std::string json;
  append_json_string(json, text);
  EXPECT_EQ(std::string(boost::json::parse(json).as_string()), text);
}

TEST(Problem, SaysWhatAndWhere) {
  const Response response = problem(422, "code_length", "a \"quoted\" detail", "items[3].code");
  EXPECT_EQ(response.content_type, "application/problem+json");
  const boost::json::object document = boost::json::parse(response.body).as_object();
  EXPECT_EQ(document.at("type").as_string(), "urn:watchword:problem:code_length");
  EXPECT_EQ(document.at("title").as_string(), "Unprocessable Content");
  EXPECT_EQ(document.at("status").as_int64(), 422);
  EXPECT_EQ(document.at("detail").as_string(), "a \"quoted\" detail");
  EXPECT_EQ(document.at("field").as_string(), "items[3].code");
  EXPECT_FALSE(boost::json::parse(problem(404, "not_found", "x").body).as_object().contains("field"));
}

TEST(Problem, TellsHowToGoOn) {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(problem(401, "unauthorized", "x").headers, (Headers{{"WWW-Authenticate", "Bearer"}}));
  EXPECT_EQ(problem(503, "overloaded", "x").headers, (Headers{{"Retry-After", "1"}}));
}

std::string written(const Response& response, AnswerForm form) {
  std::string out;
  write_response(out, response, form);
  return out;
}

TEST(ResponseWriter, WritesADecisionFromATemplate) {
  std::string out;
  write_json(out, "{}", {});
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(ResponseWriter, OwesTheConnectionItsForm) {
  const Response response{.body = "{}"};
  EXPECT_NE(written(response, {.close = true}).find("\r\nConnection: close\r\n"), std::string::npos);
  EXPECT_NE(written(response, {.http10 = true}).find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  EXPECT_EQ(written(response, {}).find("Connection"), std::string::npos);
}

TEST(ResponseWriter, LeavesTheBodyOfAHeadRequestOut) {
  const std::string out = written({.body = "{}"}, {.head_only = true});
  EXPECT_NE(out.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n\r\n"));
}

TEST(ResponseWriter, GivesNoLengthToNoContent) {
  const std::string out = written({.status = 204, .body = {}, .headers = {{"ETag", "\"a\""}}}, {});
  EXPECT_TRUE(out.starts_with("HTTP/1.1 204 No Content\r\n"));
  EXPECT_EQ(out.find("Content-Length"), std::string::npos);
  EXPECT_NE(out.find("ETag: \"a\"\r\n"), std::string::npos);
}

TEST(Routes, AreThoseOfTheListener) {
  constexpr auto verify = static_cast<std::uint8_t>(Plane::verify);
  constexpr auto admin = static_cast<std::uint8_t>(Plane::admin);
  EXPECT_EQ(route_of("/v1/verify", verify), Route::verify);
  EXPECT_EQ(route_of("/v1/verify?a=b", verify), Route::verify);
  EXPECT_EQ(route_of("/v1/verify/batch", verify), Route::batch);
  EXPECT_EQ(route_of("/v1/users", verify), Route::unknown);
  EXPECT_EQ(route_of("/v1/users", admin), Route::managed);
  EXPECT_EQ(route_of("/healthz", 0), Route::health);
  EXPECT_EQ(route_of("/readyz", 0), Route::readiness);
  EXPECT_EQ(route_of("/", 0xff), Route::unknown);
  EXPECT_EQ(route_of("*", 0xff), Route::unknown);
}

TEST(Routes, FindTheKey) {
  EXPECT_EQ(bearer_key("Bearer abc"), "abc");
  EXPECT_EQ(bearer_key("bEARER   abc"), "abc");
  EXPECT_EQ(bearer_key("Basic abc"), "");
  EXPECT_EQ(bearer_key("Bearer"), "");
  EXPECT_EQ(bearer_key("Bearer "), "");
  EXPECT_EQ(bearer_key(""), "");
}

TEST(Routes, KnowJsonWhenTheySeeIt) {
  EXPECT_TRUE(is_json("application/json"));
  EXPECT_TRUE(is_json("Application/JSON; charset=utf-8"));
  EXPECT_TRUE(is_json(""));
  EXPECT_FALSE(is_json("text/plain"));
  EXPECT_FALSE(is_json("application/jsonp"));
}

}  // namespace
}  // namespace watchword::api
