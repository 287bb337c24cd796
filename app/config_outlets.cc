// The configuration file's table [audit] with [audit.stream], and [[webhooks]].
#include <boost/asio/ip/address.hpp>

#include "api/digest.h"
#include "app/config_reader.h"

namespace watchword::app {
namespace {

constexpr std::size_t webhook_secret_characters_min = 32;
constexpr std::size_t webhooks_max = 16;  // each has a thread
constexpr std::size_t name_characters_max = 64;

void read_stream(const Reader& in, const toml::node& node, api::TrailOutletOptions& outlets) {
  in.table("audit.stream", node,
           {{"file",
             [&](const auto& value) {
               outlets.file = in.text("audit.stream.file", value);
               if (!outlets.file.empty() && !outlets.file.is_absolute())
                 in.fail(value, "audit.stream.file must begin with /");
             }},
            {"syslog", [&](const auto& value) {
               const std::string target = in.text("audit.stream.syslog", value);
               outlets.syslog = target.empty() ? std::nullopt : api::SyslogTarget::parse(target);
               if (!target.empty() && !outlets.syslog) {
                 in.fail(value, "audit.stream.syslog must be udp://HOST:PORT, tcp://HOST:PORT or unix:/PATH");
               }
             }}});
}

bool loopback(const std::string& host) {
  boost::system::error_code fault;
  const auto address = boost::asio::ip::make_address(host, fault);
  return host == "localhost" || (!fault && address.is_loopback());
}

// Without what such addresses may hold that is secret.
std::string name_of(const api::HttpTarget& target, const std::string& url) {
  return target.host + "-" + api::hex(api::sha256(url)).substr(0, 8);
}

std::vector<std::string> read_events(const Reader& in, const toml::node& node) {
  std::vector<std::string> events = in.texts("webhooks.events", node);
  if (events.empty()) in.fail(node, "webhooks.events must name at least one event");
  for (const std::string& event : events) {
    if (!api::known_webhook_event(event)) {
      in.fail(node, "webhooks.events: there is no event \"" + event + "\"; events are actions such as device.confirm");
    }
  }
  return events;
}

api::WebhookOptions read_webhook(const Reader& in, const toml::node& node) {
  api::WebhookOptions webhook;
  webhook.events = api::default_webhook_events();
  in.table("webhooks", node,
           {{"name",
             [&](const auto& value) {
               webhook.name = in.text("webhooks.name", value);
               if (webhook.name.empty() || webhook.name.size() > name_characters_max) {
                 in.fail(value, "webhooks.name must have 1 to 64 characters");
               }
             }},
            {"url", [&](const auto& value) { webhook.url = in.text("webhooks.url", value); }},
            {"ca_file", [&](const auto& value) { webhook.ca_file = in.text("webhooks.ca_file", value); }},
            {"events", [&](const auto& value) { webhook.events = read_events(in, value); }},
            {"secret_file",
             [&](const auto& value) {
               const std::string secret = in.secret_file("webhooks.secret_file", value);
               if (secret.size() < webhook_secret_characters_min) {
                 in.fail(value, "the secret in webhooks.secret_file must have 32 characters at least");
               }
               webhook.secret = engine::SecretBytes(std::vector<std::uint8_t>(secret.begin(), secret.end()));
             }},
            {"give_up_s",
             [&](const auto& value) {
               webhook.give_up_s = in.number<std::int64_t>("webhooks.give_up_s", value, 60, 31'536'000);
             }},
            {"timeout_s", [&](const auto& value) {
               webhook.timeout_ms = 1000 * in.number<std::int64_t>("webhooks.timeout_s", value, 1, 60);
             }}});
  if (webhook.url.empty() || webhook.secret.size() == 0) in.fail(node, "webhooks needs url and secret_file");
  const std::optional<api::HttpTarget> target = api::HttpTarget::parse(webhook.url);
  if (!target) in.fail(node, "webhooks.url must be https://HOST/PATH, without user, password and fragment");
  if (!target->tls && !loopback(target->host)) {
    in.fail(node,
            "webhooks.url must begin with https:// (http:// only to this host): it tells who registered and who is locked");
  }
  if (webhook.name.empty()) webhook.name = name_of(*target, webhook.url);
  return webhook;
}

}  // namespace

Keys audit_keys(const Reader& in, Config& config) {
  return {{"retention_days",
           [&](const auto& node) {
             config.store.audit_retention_days = in.number<std::uint32_t>("audit.retention_days", node, 0, 36500);
           }},
          {"stream", [&](const auto& node) { read_stream(in, node, config.outlets); }}};
}

void read_webhooks(const Reader& in, const toml::node& node, Config& config) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) in.fail(node, "webhooks must be tables, each begun with [[webhooks]]");
  std::vector<api::WebhookOptions>& webhooks = config.outlets.webhooks;
  for (const toml::node& one : *list) {
    api::WebhookOptions webhook = read_webhook(in, one);
    for (const api::WebhookOptions& other : webhooks) {
      if (other.name == webhook.name)
        in.fail(one, "there are two webhooks with the name \"" + webhook.name + "\"; name them");
    }
    webhooks.push_back(std::move(webhook));
    if (webhooks.size() > webhooks_max) in.fail(one, "there may be 16 webhooks");
  }
}

}  // namespace watchword::app
