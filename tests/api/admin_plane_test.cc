#include "admin_plane_fixture.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr Scopes verify = static_cast<Scopes>(Scope::verify);
constexpr Scopes enroll = static_cast<Scopes>(Scope::enroll);
constexpr Scopes read = static_cast<Scopes>(Scope::read);

TEST_F(AdminPlaneTest, AnswersUnknownPathsAndMethods) {
  EXPECT_EQ(refusal(Method::get, "/"), "404 not_found");
  EXPECT_EQ(refusal(Method::get, "/v1/users/"), "404 not_found");
  EXPECT_EQ(refusal(Method::get, "/v1/users/alice/device"), "404 not_found");
  EXPECT_EQ(refusal(Method::put, "/v1/users/alice/devices"), "405 method_not_allowed");
  EXPECT_EQ(header(ask(Method::put, "/v1/users/alice/devices"), "Allow"), "GET, HEAD, POST");
  EXPECT_EQ(header(ask(Method::other, "/v1/policy"), "Allow"), "GET, HEAD, PUT");
  EXPECT_EQ(ask(Method::head, "/v1/policy").status, 200u);
}

TEST_F(AdminPlaneTest, AsksForTheScopeOfEachRoute) {
  const std::string device = "/v1/users/alice/devices/0123456789abcdef";
  const auto others = [](Scopes enough) { return static_cast<Scopes>(0x3f & ~(enough | admin_scope)); };
  const std::vector<std::tuple<Method, std::string, Scopes>> routes = {
      {Method::get, "/v1/users", read},
      {Method::get, "/v1/users/alice", read},
      {Method::del, "/v1/users/alice", 0},
      {Method::post, "/v1/users/alice/unlock", 0},
      {Method::get, "/v1/users/alice/requirement", verify | read},
      {Method::get, "/v1/users/alice/devices", read | enroll},
      {Method::post, "/v1/users/alice/devices", enroll},
      {Method::get, device, read | enroll},
      {Method::patch, device, enroll},
      {Method::del, device, enroll},
      {Method::get, device + "/qr.svg", enroll},
      {Method::get, device + "/qr.png", enroll},
      {Method::post, device + "/confirm", enroll},
      {Method::post, device + "/resync", enroll},
      {Method::get, "/v1/policy", read},
      {Method::put, "/v1/policy", 0},
      {Method::get, "/v1/api-keys", 0},
      {Method::post, "/v1/api-keys", 0},
      {Method::del, "/v1/api-keys/0123456789abcdef", 0}};
  for (const auto& [method, path, enough] : routes) {
    scopes = others(enough);
    EXPECT_EQ(refusal(method, path), "403 forbidden") << path;
    for (const Scope scope : {Scope::verify, Scope::enroll, Scope::read, Scope::admin}) {
      scopes = static_cast<Scopes>(scope);
      if ((scopes & (enough | admin_scope)) != 0) {
        EXPECT_NE(ask(method, path).status, 403u) << path;
      }
    }
  }
}

TEST_F(AdminPlaneTest, RefusesBadUsersQueriesAndMediaTypes) {
  EXPECT_EQ(refusal(Method::get, "/v1/users/a%zz"), "400 bad_request");
  EXPECT_EQ(refusal(Method::get, "/v1/users/a%00"), "400 bad_request user");
  EXPECT_EQ(refusal(Method::get, "/v1/users/%FF"), "400 bad_request user");
  EXPECT_EQ(refusal(Method::get, "/v1/users/" + std::string(257, 'u')), "400 bad_request user");
  EXPECT_EQ(refusal(Method::get, "/v1/users/alice?x=1"), "400 bad_request x");
  content_type = "text/plain";
  EXPECT_EQ(refusal(Method::post, "/v1/users/alice/devices", R"({"name":"n"})"), "415 unsupported_media_type");
  content_type = "Application/JSON; charset=utf-8";
  EXPECT_EQ(refusal(Method::post, "/v1/users/alice/devices", R"({"name":"n"})"), "201");
}

TEST_F(AdminPlaneTest, ListsUsersInPages) {
  for (const std::string user : {"alice", "a%2Fb", "bob", "carol", "zo%C3%AB"}) {
    ask(Method::post, "/v1/users/" + user + "/devices", R"({"name":"phone"})");
  }
  std::vector<std::string> seen;
  std::string cursor;
  do {
    const json::object page = object(200, Method::get, "/v1/users?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor));
    for (const json::value& user : page.at("users").as_array()) seen.emplace_back(user.at("user").as_string());
    cursor = page.contains("next_cursor") ? text(page, "next_cursor") : "";
  } while (!cursor.empty());
  EXPECT_EQ(seen, (std::vector<std::string>{"a/b", "alice", "bob", "carol", "zoë"}));
  const json::object ab = object(200, Method::get, "/v1/users?prefix=al").at("users").as_array().at(0).as_object();
  EXPECT_EQ(text(ab, "user"), "alice");
  EXPECT_EQ(text(ab, "created_at"), "2026-11-24T14:00:00Z");
  EXPECT_EQ(ab.at("active_devices").as_int64(), 0);
  EXPECT_EQ(refusal(Method::get, "/v1/users?cursor=%21"), "400 bad_request cursor");
  EXPECT_EQ(refusal(Method::get, "/v1/users?cursor="), "400 bad_request cursor");
  EXPECT_EQ(refusal(Method::get, "/v1/users?limit=1001"), "400 bad_request limit");
  EXPECT_EQ(refusal(Method::get, "/v1/users?offset=1"), "400 bad_request offset");
}

TEST_F(AdminPlaneTest, ShowsAndRemovesAUser) {
  registered();
  const json::object user = object(200, Method::get, "/v1/users/alice");
  EXPECT_EQ(text(user, "user"), "alice");
  EXPECT_EQ(user.at("failures").as_int64(), 0);
  EXPECT_FALSE(user.at("locked").as_bool());
  EXPECT_EQ(user.at("devices").as_array().size(), 1u);
  EXPECT_EQ(ask(Method::post, "/v1/users/alice/unlock").status, 200u);
  const Response removed = ask(Method::del, "/v1/users/alice");
  EXPECT_EQ(removed.status, 204u);
  EXPECT_TRUE(removed.body.empty());
  EXPECT_EQ(refusal(Method::get, "/v1/users/alice"), "404 user_not_found");
  EXPECT_EQ(refusal(Method::del, "/v1/users/alice"), "404 user_not_found");
  EXPECT_EQ(refusal(Method::post, "/v1/users/alice/unlock"), "404 user_not_found");
}

class Requirement : public AdminPlaneTest {
 protected:
  std::string requirement() { return text(object(200, Method::get, "/v1/users/alice/requirement"), "requirement"); }
};

TEST_F(Requirement, OfPeopleWithoutDeviceIsThePolicysAction) {
  engine::Policy policy;
  EXPECT_EQ(requirement(), "register");
  policy.self_registration = engine::SelfRegistration::denied;
  engine.policy.replace(policy);
  EXPECT_EQ(requirement(), "deny");
  policy.no_device_action = engine::NoDeviceAction::allow;
  engine.policy.replace(policy);
  EXPECT_EQ(requirement(), "allow");
  policy.no_device_action = engine::NoDeviceAction::deny;
  engine.policy.replace(policy);
  EXPECT_EQ(requirement(), "deny");
}

TEST_F(Requirement, OfPeopleWithAUsableDeviceIsToVerifyUnlessPolicyNeverPrompts) {
  ask(Method::post, "/v1/users/alice/devices", R"({"name":"tablet"})");
  EXPECT_EQ(requirement(), "register");
  const std::string device = registered();
  EXPECT_EQ(requirement(), "verify");
  ask(Method::patch, device, R"({"enabled":false})");
  EXPECT_EQ(requirement(), "register");
  ask(Method::patch, device, R"({"enabled":true})");
  engine::Policy policy;
  policy.prompt = engine::Prompt::never;
  engine.policy.replace(policy);
  EXPECT_EQ(requirement(), "allow");
}

TEST_F(AdminPlaneTest, ReplacesThePolicyDurably) {
  const Response shown = ask(Method::get, "/v1/policy");
  json::object policy = json::parse(shown.body).as_object();
  policy["issuer"] = "Example";
  if_match = header(shown, "ETag");
  const Response replaced = ask(Method::put, "/v1/policy", json::serialize(policy));
  EXPECT_EQ(replaced.status, 200u) << replaced.body;
  EXPECT_NE(header(replaced, "ETag"), if_match);
  EXPECT_EQ(engine.policy.copy().issuer, "Example");
  EXPECT_EQ(*scratch.store().document("policy"), replaced.body);
  EXPECT_EQ(refusal(Method::put, "/v1/policy", json::serialize(policy)), "412 policy_changed");
  if_match = "W/" + header(replaced, "ETag");
  EXPECT_EQ(refusal(Method::put, "/v1/policy", json::serialize(policy)), "412 policy_changed");
  if_match = "\"other\", " + header(replaced, "ETag");
  EXPECT_EQ(refusal(Method::put, "/v1/policy", json::serialize(policy)), "200");
  if_match = "*";
  EXPECT_EQ(refusal(Method::put, "/v1/policy", json::serialize(policy)), "200");
}

TEST_F(AdminPlaneTest, RefusesAPolicyThatIsNotOne) {
  json::object policy = json::parse(ask(Method::get, "/v1/policy").body).as_object();
  policy["digits"] = 9;
  EXPECT_EQ(refusal(Method::put, "/v1/policy", json::serialize(policy)), "422 unacceptable_value digits");
  policy.erase("digits");
  EXPECT_EQ(refusal(Method::put, "/v1/policy", json::serialize(policy)), "400 bad_request digits");
  EXPECT_EQ(refusal(Method::put, "/v1/policy", ""), "400 bad_request");
  EXPECT_EQ(engine.policy.copy(), engine::Policy{});
}

TEST_F(AdminPlaneTest, ManagesKeys) {
  const json::object made = object(201, Method::post, "/v1/api-keys", R"({"name":"ops","scopes":["admin","read"]})");
  EXPECT_TRUE(keys.authenticate(text(made, "key"), boost::asio::ip::make_address("192.0.2.7"), now).has_value());
  EXPECT_EQ(json::serialize(made.at("scopes")), R"(["read","admin"])");
  const json::object list = object(200, Method::get, "/v1/api-keys");
  const json::object listed = list.at("api_keys").as_array().at(0).as_object();
  EXPECT_EQ(text(listed, "name"), "ops");
  EXPECT_FALSE(listed.contains("key"));
  const std::string path = "/v1/api-keys/" + text(made, "id");
  EXPECT_EQ(refusal(Method::del, path), "409 last_admin_key");
  const json::object other = object(201, Method::post, "/v1/api-keys", R"({"name":"ops 2","scopes":["admin"]})");
  EXPECT_EQ(refusal(Method::del, path), "204");
  EXPECT_FALSE(keys.authenticate(text(made, "key"), boost::asio::ip::make_address("192.0.2.7"), now).has_value());
  EXPECT_EQ(refusal(Method::del, path), "404 key_not_found");
  EXPECT_EQ(refusal(Method::post, "/v1/api-keys", R"({"name":"","scopes":["read"]})"), "400 bad_request name");
  EXPECT_EQ(refusal(Method::post, "/v1/api-keys", R"({"name":"n","scopes":[]})"), "400 bad_request scopes");
  EXPECT_EQ(refusal(Method::post, "/v1/api-keys", R"({"name":"n","scopes":["root"]})"), "400 bad_request scopes");
  EXPECT_EQ(refusal(Method::post, "/v1/api-keys", R"({"name":"n"})"), "400 bad_request scopes");
}

}  // namespace
}  // namespace watchword::api
