#include "api/verify_json.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <tuple>
#include <vector>

namespace watchword::api {
namespace {

// "field: detail" of the fault, or "" if there is none.
std::string fault_of(std::string_view body) {
  VerifyFields fields;
  const std::optional<RequestFault> fault = parse_verify(body, fields);
  if (!fault) return "";
  EXPECT_EQ(fault->status, 400U);
  return fault->field + ": " + fault->detail;
}

struct Items final : BatchItems {
  VerifyFields& add() override { return list.emplace_back(); }
  std::deque<VerifyFields> list;
};
std::string batch_fault_field(std::string_view body) {
  Items items;
  const std::optional<RequestFault> fault = parse_batch(body, items);
  EXPECT_LE(items.list.size(), batch_items_max);
  return fault ? "at " + fault->field : "none";
}

constexpr std::string_view not_json = ": The body is not valid JSON in UTF-8.";

TEST(VerifyJson, ReadsEveryField) {
  VerifyFields fields;
  const auto fault = parse_verify(
      R"( {"user":"al\u0069ce \"q\" \ud83d\ude00","code":"012345","device":"00000000000000ff","request_id":"r-1"} )",
      fields);
  ASSERT_FALSE(fault) << fault->detail;
  EXPECT_EQ(fields.user.view(), "alice \"q\" \xf0\x9f\x98\x80");
  EXPECT_EQ(fields.code.value, 12345U);
  EXPECT_EQ(fields.code.digits, 6);
  EXPECT_EQ(fields.device->value, 0xffU);
  EXPECT_EQ(fields.request_id.view(), "r-1");
}

TEST(VerifyJson, ForgetsTheRequestBefore) {
  VerifyFields fields;
  ASSERT_FALSE(parse_verify(R"({"user":"a","code":"123456","device":"00000000000000ff","request_id":"r"})", fields));
  ASSERT_FALSE(parse_verify(R"({"user":"b","code":"12345678"})", fields));
  EXPECT_EQ(fields.user.view(), "b");
  EXPECT_FALSE(fields.device);
  EXPECT_EQ(fields.request_id.view(), "");
}

// What is read without the general parser is what that one reads: it takes the items of batches.
TEST(VerifyJson, ThePlainWayAgreesWithTheGeneralOne) {
  std::vector<std::string> users = {"a",
                                    "alice@example.org",
                                    "seven77",
                                    "eight888",
                                    "nine99999",
                                    "with blank",
                                    R"(a\tb)",
                                    R"(q\"q)",
                                    R"(\)",
                                    "",
                                    "\xc3\xa9t\xc3\xa9",
                                    "\xff",
                                    std::string(256, 'x'),
                                    std::string(257, 'x')};
  for (int byte = 0; byte < 256; ++byte) {
    for (const std::size_t at : {0, 3, 8, 11}) {
      std::string user = "abcdefghijkl";
      user[at] = static_cast<char>(byte);
      users.push_back(user);
    }
  }
  const std::vector<std::string> codes = {"123456",    "1234567", "12345678", "12345",
                                          "123456789", "",        "12345a",   "CDFH-JKMN-PQRT-3467"};
  unsigned good = 0;
  for (const std::string& user : users) {
    for (const std::string& code : codes) {
      for (const auto& [colon, comma, end] :
           {std::tuple{":", ",", "}"}, {": ", ", ", "}"}, {":  ", " ,", " }\n"}, {":", ",", "}}"}}) {
        const std::string body =
            std::string("{\"user\"") + colon + '"' + user + '"' + comma + "\"code\"" + colon + '"' + code + '"' + end;
        VerifyFields fields;
        const auto fault = parse_verify(body, fields);
        Items items;
        const auto item_fault = parse_batch("{\"items\":[" + body + "]}", items);
        ASSERT_EQ(fault.has_value(), item_fault.has_value()) << body;
        if (fault) continue;
        ++good;
        ASSERT_EQ(items.list.size(), 1u);
        const VerifyFields& item = items.list.front();
        ASSERT_EQ(fields.user.view(), item.user.view()) << body;
        ASSERT_EQ(fields.code_text.view(), item.code_text.view());
        ASSERT_EQ(fields.code.value, item.code.value);
        ASSERT_EQ(fields.code.digits, item.code.digits);
        ASSERT_EQ(fields.recovery_code.has_value(), item.recovery_code.has_value());
        ASSERT_FALSE(fields.device);
        ASSERT_TRUE(fields.request_id.view().empty());
      }
    }
  }
  EXPECT_GT(good, 3000u);
}

TEST(VerifyJson, NamesTheFieldAtFault) {
  EXPECT_EQ(fault_of(R"({"user":"a"})"), "code: This field is missing.");
  EXPECT_EQ(fault_of(R"({"code":"123456"})"), "user: This field is missing.");
  EXPECT_EQ(fault_of(R"({})"), "user: This field is missing.");
  EXPECT_EQ(fault_of(R"({"user":"a","code":"123456","x":1})"), "x: This request has no field of that name.");
  EXPECT_EQ(fault_of(R"({"user":"a","user":"a","code":"123456"})"), "user: A field is given twice. Give each field once.");
  EXPECT_EQ(fault_of(R"({"user":"a","\u0075ser":"a","code":"1"})"), "user: A field is given twice. Give each field once.");
  for (const char* code : {"", "12345", "123456789", " 123456", "123456 ", "+12345", "12345a", "\xd9\xa1\xd9\xa2\xd9\xa3"}) {
    EXPECT_EQ(fault_of(R"({"user":"a","code":")" + std::string(code) + R"("})"),
              "code: A code is six to eight ASCII digits, or a recovery code; nothing else.")
        << code;
  }
  EXPECT_EQ(fault_of(R"({"user":"a","code":"123456\u0000"})"),
            "code: A code is six to eight ASCII digits, or a recovery code; nothing else.");
  EXPECT_TRUE(fault_of(R"({"user":"","code":"123456"})").starts_with("user: "));
  EXPECT_TRUE(fault_of(R"({"user":"a\n","code":"123456"})").starts_with("user: "));
  EXPECT_TRUE(fault_of(R"({"user":")" + std::string(257, 'a') + R"(","code":"123456"})").starts_with("user: "));
  EXPECT_EQ(fault_of(R"({"user":")" + std::string(256, 'a') + R"(","code":"123456"})"), "");
  for (const char* device : {"", "ff", "00000000000000FF", "00000000000000fg", "00000000000000ff0"}) {
    EXPECT_TRUE(
        fault_of(R"({"user":"a","code":"123456","device":")" + std::string(device) + R"("})").starts_with("device: "));
  }
  EXPECT_TRUE(fault_of(R"({"user":"a","code":"123456","request_id":""})").starts_with("request_id: "));
  EXPECT_TRUE(fault_of(R"({"user":"a","code":"123456","request_id":")" + std::string(129, 'r') + R"("})")
                  .starts_with("request_id: "));
}

TEST(VerifyJson, RefusesWrongTypes) {
  for (const char* value :
       {"123456", "-1", "1.5", "1e9", "true", "null", "[]", "{}", "[\"123456\"]", "18446744073709551616"}) {
    EXPECT_EQ(fault_of(R"({"user":"a","code":)" + std::string(value) + "}"), "code: This field must be a text.") << value;
  }
  for (const char* body : {"[]", "1", "\"a\"", "null", "true"})
    EXPECT_EQ(fault_of(body), ": The body must be a JSON object.");
}

TEST(VerifyJson, RefusesWhatIsNoJson) {
  for (const char* body : {"", " ", "{", "{\"user\":\"a\",\"code\":\"123456\"", "{\"user\":\"a\",\"code\":\"123456\",}",
                           "{'user':'a'}", "{\"user\":\"a\"\"code\":\"123456\"}", "{\"user\":\"a\",\"code\":\"123456\"}x",
                           "{\"user\":\"a\",\"code\":\"123456\"}{}", "/**/{}", "{\"user\":\"\xff\",\"code\":\"123456\"}",
                           "{\"user\":\"\xc0\xaf\",\"code\":\"123456\"}", "{\"user\":\"\xed\xa0\x80\",\"code\":\"123456\"}",
                           "{\"user\":\"\\ud800\",\"code\":\"123456\"}", "{\"user\":\"a\tb\",\"code\":\"123456\"}",
                           "\xef\xbb\xbf{\"user\":\"a\",\"code\":\"123456\"}"}) {
    EXPECT_EQ(fault_of(body), not_json) << body;
  }
}

TEST(VerifyJson, HoldsAgainstHugeInput) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += R"({"user":)";
  EXPECT_EQ(fault_of(deep), "user: This field must be a text.");
  EXPECT_EQ(fault_of(std::string(1000, '[')), ": The body must be a JSON object.");
  const std::string digits(1'000'000, '1');
  EXPECT_EQ(fault_of(R"({"user":"a","code":")" + digits + "\"}"),
            "code: A code is six to eight ASCII digits, or a recovery code; nothing else.");
  EXPECT_EQ(fault_of(R"({"user":"a","code":)" + digits + "}"), "code: This field must be a text.");
  EXPECT_EQ(fault_of("{\"" + digits + "\":1}"), ": This request has no field of that name.");
  EXPECT_EQ(fault_of(std::string(1'000'000, ' ') + R"({"user":"a","code":"123456"})" + std::string(1'000'000, '\n')), "");
}

TEST(VerifyJson, TakesARecoveryCodeWithoutADevice) {
  VerifyFields fields;
  ASSERT_FALSE(parse_verify(R"({"user":"a","code":"cdfh-JKMN-PQRT-3467"})", fields));
  ASSERT_TRUE(fields.recovery_code);
  EXPECT_EQ(fields.recovery_code->text(), "CDFH-JKMN-PQRT-3467");
  ASSERT_FALSE(parse_verify(R"({"user":"a","code":"123456"})", fields));
  EXPECT_FALSE(fields.recovery_code);
  EXPECT_EQ(fault_of(R"({"user":"a","code":"CDFHJKMNPQRT3467","device":"00000000000000ff"})"),
            "device: A recovery code belongs to no device: leave the device out.");
}

TEST(VerifyJson, ReadsABatchInOrder) {
  Items items;
  ASSERT_FALSE(
      parse_batch(R"({"items":[{"user":"a","code":"111111"},{"code":"222222","user":"b","request_id":"r"}]})", items));
  ASSERT_EQ(items.list.size(), 2U);
  EXPECT_EQ(items.list[0].user.view(), "a");
  EXPECT_EQ(items.list[1].code.value, 222222U);
  EXPECT_EQ(items.list[1].request_id.view(), "r");
}

TEST(VerifyJson, NamesTheItemAtFault) {
  const std::string good = R"({"user":"a","code":"111111"})";
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + "," + good + "]}"), "none");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + R"(,{"user":"a","code":"1"}]})"), "at items[1].code");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + R"(,{"user":"a"}]})"), "at items[1].code");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + R"(,{"user":"a","x":"1"}]})"), "at items[1].x");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + R"(,{"user":{},"code":"111111"}]})"), "at items[1].user");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + ",1]}"), "at items[1]");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + ",[]]}"), "at items[1]");
  EXPECT_EQ(batch_fault_field("{\"items\":[]}"), "at items");
  EXPECT_EQ(batch_fault_field("{\"items\":{}}"), "at items");
  EXPECT_EQ(batch_fault_field("{\"items\":\"a\"}"), "at items");
  EXPECT_EQ(batch_fault_field("{}"), "at items");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + "],\"items\":[" + good + "]}"), "at items");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good + "],\"x\":1}"), "at x");
  EXPECT_EQ(batch_fault_field("[" + good + "]"), "at ");
  EXPECT_EQ(batch_fault_field("{\"items\":[" + good), "at ");
}

TEST(VerifyJson, BoundsABatch) {
  const auto batch_of = [](std::size_t count) {
    std::string body = "{\"items\":[";
    for (std::size_t i = 0; i < count; ++i) body += (i > 0 ? "," : "") + std::string(R"({"user":"a","code":"111111"})");
    return body + "]}";
  };
  EXPECT_EQ(batch_fault_field(batch_of(batch_items_max)), "none");
  EXPECT_EQ(batch_fault_field(batch_of(batch_items_max + 1)), "at items");
}

}  // namespace
}  // namespace watchword::api
