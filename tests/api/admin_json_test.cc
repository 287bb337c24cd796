#include "api/admin_json.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

// The first fault when {"name", "digits"?, "enabled"?} is what the request takes.
std::optional<RequestFault> fault_of(std::string_view body) {
  JsonFields fields(body);
  fields.text("name");
  fields.optional_integer("digits");
  fields.optional_flag("enabled");
  return fields.finish();
}
std::string faulty_field(std::string_view body) {
  const std::optional<RequestFault> fault = fault_of(body);
  return fault ? fault->field : "no fault";
}

TEST(JsonFields, ReadsWhatIsThere) {
  JsonFields fields(R"( {"name":"caf\u00e9","digits":8,"enabled":false,"scopes":["a","b"]} )");
  EXPECT_EQ(fields.text("name"), "café");
  EXPECT_EQ(fields.optional_integer("digits"), 8);
  EXPECT_EQ(fields.optional_flag("enabled"), false);
  EXPECT_EQ(fields.texts("scopes"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.optional_text("secret"), std::nullopt);
  EXPECT_FALSE(fields.finish().has_value());
}

TEST(JsonFields, NamesAnUnknownField) {
  EXPECT_EQ(faulty_field(R"({"name":"n","Digits":6})"), "Digits");
  EXPECT_EQ(faulty_field(R"({"name":"n","":6})"), "");
  EXPECT_TRUE(fault_of(R"({"name":"n","":6})").has_value());
}

TEST(JsonFields, NamesAMissingField) {
  EXPECT_EQ(faulty_field("{}"), "name");
}

TEST(JsonFields, NamesAFieldOfTheWrongType) {
  EXPECT_EQ(faulty_field(R"({"name":1})"), "name");
  EXPECT_EQ(faulty_field(R"({"name":null})"), "name");
  EXPECT_EQ(faulty_field(R"({"name":"n","digits":"6"})"), "digits");
  EXPECT_EQ(faulty_field(R"({"name":"n","digits":6.0})"), "digits");
  EXPECT_EQ(faulty_field(R"({"name":"n","digits":99999999999999999999})"), "digits");
  EXPECT_EQ(faulty_field(R"({"name":"n","enabled":1})"), "enabled");
  JsonFields fields(R"({"scopes":["a",1]})");
  fields.texts("scopes");
  EXPECT_EQ(fields.finish()->field, "scopes");
}

TEST(JsonFields, NamesAFieldThatIsGivenTwice) {
  EXPECT_EQ(faulty_field(R"({"name":"a","name":"b"})"), "name");
  EXPECT_EQ(faulty_field(R"({"name":"a","n\u0061me":"a"})"), "name");
  EXPECT_NE(fault_of(R"({"name":"a","name":"b"})")->detail.find("twice"), std::string::npos);
}

TEST(JsonFields, FindsATwinInANestedObjectButNotInNeighbours) {
  EXPECT_TRUE(JsonFields(R"({"a":{"x":1,"x":2}})").finish()->detail.find("twice") != std::string::npos);
  JsonFields fields(R"({"a":{"x":1},"b":{"x":2}})");
  EXPECT_EQ(fields.object("a").integer("x"), 1);
  EXPECT_EQ(fields.object("b").integer("x"), 2);
  EXPECT_FALSE(fields.finish().has_value());
}

TEST(JsonFields, NamesFaultsInNestedObjectsByPath) {
  JsonFields wrong(R"({"lockout":{"failures":"10"}})");
  wrong.object("lockout").integer("failures");
  EXPECT_EQ(wrong.finish()->field, "lockout.failures");
  JsonFields unknown(R"({"lockout":{"x":1}})");
  unknown.object("lockout");
  EXPECT_EQ(unknown.finish()->field, "lockout.x");
  JsonFields no_object(R"({"lockout":[]})");
  no_object.object("lockout");
  EXPECT_EQ(no_object.finish()->field, "lockout");
}

TEST(JsonFields, RefusesWhatIsNoJsonObject) {
  for (const std::string_view body :
       {"", " ", "null", "[]", "\"x\"", "{", R"({"name":"n"}})", R"({"name":"n",})", R"({name:"n"})", R"({"name":'n'})",
        "\xef\xbb\xbf{\"name\":\"n\"}", R"({"name":"n"}//)"}) {
    ASSERT_TRUE(fault_of(body).has_value()) << body;
    EXPECT_EQ(fault_of(body)->status, 400u) << body;
  }
}

TEST(JsonFields, RefusesInvalidUtf8) {
  for (const std::string_view text : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc3"}) {
    EXPECT_TRUE(fault_of("{\"name\":\"" + std::string(text) + "\"}").has_value());
  }
  EXPECT_TRUE(fault_of(R"({"name":"\ud800"})").has_value());
}

TEST(JsonFields, RefusesDeepNesting) {
  EXPECT_TRUE(fault_of(R"({"name":)" + std::string(1000, '[') + std::string(1000, ']') + "}").has_value());
}

TEST(JsonFields, ShowsNoNameThatCannotBePrinted) {
  EXPECT_EQ(faulty_field("{\"name\":\"n\",\"a\\u0000b\":1}"), "");
  EXPECT_EQ(faulty_field("{\"name\":\"n\",\"" + std::string(65, 'x') + "\":1}"), "");
}

TEST(UtcText, IsRfc3339) {
  EXPECT_EQ(utc_text(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_text(1'795'528'800), "2026-11-24T14:00:00Z");
  EXPECT_EQ(utc_text(1'709'210'096), "2024-02-29T12:34:56Z");
  EXPECT_EQ(utc_text(4'102'444'799), "2099-12-31T23:59:59Z");
}

}  // namespace
}  // namespace watchword::api
