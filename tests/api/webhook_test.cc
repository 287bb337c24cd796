#include "api/webhook.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

TEST(WebhookSignature, IsTheHmacOfTimeAndBody) {
  const engine::SecretBytes secret(std::vector<std::uint8_t>(32, 'k'));
  // Python: hmac.digest(b"k" * 32, b"1795528800.{}", "sha256").hex()
  EXPECT_EQ(webhook_signature(secret, 1795528800, "{}"),
            "t=1795528800,v1=80b48c2e23827e0b76d3ffa86d5e53628a312e40405e429147c828f8506620e8");
}

TEST(HttpTarget, ReadsWhatIsAnAddress) {
  const auto plain = HttpTarget::parse("http://127.0.0.1:8080/a/b?c=d");
  ASSERT_TRUE(plain.has_value());
  EXPECT_FALSE(plain->tls);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, "8080");
  EXPECT_EQ(plain->path, "/a/b?c=d");
  EXPECT_EQ(plain->authority, "127.0.0.1:8080");
  const auto six = HttpTarget::parse("https://[::1]");
  ASSERT_TRUE(six.has_value());
  EXPECT_TRUE(six->tls);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, "443");
  EXPECT_EQ(six->path, "/");
  EXPECT_EQ(HttpTarget::parse("https://h?x")->path, "/?x");
}

TEST(HttpTarget, RefusesWhatIsNone) {
  for (const char* text :
       {"", "ftp://h/", "https://", "https:///path", "https://user@h/", "https://h:0/", "https://h:65536/", "https://h:x/",
        "https://h:/", "https://[::1/", "https://[::1]x/", "https://h/a b", "https://h/\r\nX: y", "https://h/#f", "//h/"}) {
    EXPECT_FALSE(HttpTarget::parse(text).has_value()) << text;
  }
}

TEST(WebhookEvents, LeaveOutWhatDidNotHappen) {
  WebhookOptions options{.name = "t", .url = "http://127.0.0.1:1/", .events = default_webhook_events()};
  const Webhook webhook(options);
  const auto entry = [](std::string action, std::string detail) {
    return engine::AuditEntry{
        .at = {}, .origin = {}, .action = std::move(action), .user = "ada", .device = {}, .detail = std::move(detail)};
  };
  EXPECT_TRUE(webhook.wants(entry("device.confirm", R"({"result":"accepted","name":"x"})")));
  EXPECT_FALSE(webhook.wants(entry("device.confirm", R"({"result":"rejected"})")));
  EXPECT_FALSE(webhook.wants(entry("recovery_codes.use", R"({"result":"rejected"})")));
  EXPECT_TRUE(webhook.wants(entry("user.lock", R"({"hard":false,"retry_after_s":1})")));
  EXPECT_FALSE(webhook.wants(entry("verification", R"({"result":"accepted"})")));
  for (const std::string& event : default_webhook_events()) EXPECT_TRUE(known_webhook_event(event)) << event;
  EXPECT_FALSE(known_webhook_event("verification"));
}

TEST(HttpPoster, EndsAtOnceWhenCancelled) {
  HttpPoster poster(*HttpTarget::parse("http://192.0.2.1/"), "");
  poster.cancel();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(poster.post({}, "{}", 10'000).has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(HttpPoster, SaysWhatIsWrong) {
  HttpPoster poster(*HttpTarget::parse("http://127.0.0.1:1/"), "");
  const auto status = poster.post({}, "{}", 1000);
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().find("cannot connect"), std::string::npos);
  EXPECT_THROW(HttpPoster(*HttpTarget::parse("https://h/"), "/does/not/exist.pem"), std::runtime_error);
}

}  // namespace
}  // namespace watchword::api
