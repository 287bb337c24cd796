// The administrative plane over a real engine and store, with answers as JSON.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "api/admin_plane.h"
#include "engine/base32.h"
#include "engine/otp.h"
#include "engine/rcu.h"
#include "scratch_store.h"

namespace watchword::api {

inline constexpr Scopes admin_scope = static_cast<Scopes>(Scope::admin);

class AdminPlaneTest : public testing::Test {
 protected:
  Response ask(Method method, std::string target, std::string body = {}) {
    return plane.handle({.method = method,
                         .target = std::move(target),
                         .content_type = content_type,
                         .if_match = if_match,
                         .body = std::move(body),
                         .caller = {.id = 1, .scopes = scopes}},
                        now);
  }
  // The answer's object, after a look at its status.
  boost::json::object object(unsigned status, Method method, std::string target, std::string body = {}) {
    const Response response = ask(method, std::move(target), std::move(body));
    EXPECT_EQ(response.status, status) << response.body;
    return boost::json::parse(response.body).as_object();
  }
  // "404 device_not_found", "400 bad_request name".
  std::string refusal(Method method, std::string target, std::string body = {}) {
    const Response response = ask(method, std::move(target), std::move(body));
    if (response.status < 400) return std::to_string(response.status);
    EXPECT_EQ(response.content_type, "application/problem+json");
    const boost::json::object problem = boost::json::parse(response.body).as_object();
    EXPECT_EQ(problem.at("status").as_int64(), response.status);
    EXPECT_FALSE(problem.at("detail").as_string().empty());
    const std::string type(problem.at("type").as_string());
    std::string text = std::to_string(response.status) + " " + type.substr(type.rfind(':') + 1);
    if (problem.contains("field")) text += " " + std::string(problem.at("field").as_string());
    return text;
  }

  static std::string text(const boost::json::object& object, std::string_view name) {
    return std::string(object.at({name.data(), name.size()}).as_string());
  }
  static std::string header(const Response& response, std::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return {};
  }

  // The code that an app with this secret shows `steps` after now.
  std::string code(std::string_view of_secret, int steps = 0) const {
    return engine::totp({}, *engine::base32_decode(of_secret), {now.value + steps * 30'000});
  }

  // Path of a confirmed device of alice.
  std::string registered(std::string_view name = "phone") {
    const boost::json::object begun =
        object(201, Method::post, "/v1/users/alice/devices", R"({"name":")" + std::string(name) + R"("})");
    secret = text(begun, "secret");
    const std::string path = "/v1/users/alice/devices/" + text(begun, "id");
    object(200, Method::post, path + "/confirm", R"({"code":")" + code(secret) + R"("})");
    return path;
  }

  engine::RcuThread thread;
  ScratchStore scratch;
  engine::Engine engine{scratch.store(), engine::Policy{}};
  AccessKeys keys{scratch.store(), engine.committer};
  AdminPlane plane{engine, keys};
  engine::UnixMillis now{1'795'528'800'000};
  Scopes scopes = admin_scope;
  std::string content_type = "application/json";
  std::string if_match;
  std::string secret;  // of the device that registered() made last
};

}  // namespace watchword::api
