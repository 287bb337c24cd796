#include "api/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/audit_json.h"
#include "api/log.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

// A refusal may be a moment's trouble; from this attempt on it is taken to be about the event.
constexpr unsigned refusals_before_aside = 3;

constexpr std::array<std::string_view, 25> known_events = {
    "device.begin",       "device.confirm", "device.rename",   "device.enable",  "device.disable", "device.remove",
    "device.resync",      "user.lock",      "user.unlock",     "user.remove",    "import",         "recovery_codes.make",
    "recovery_codes.use", "policy.replace", "api_key.create",  "api_key.revoke", "api_key.rotate", "portal_link.make",
    "portal_link.use",    "portal.sign_in", "console.sign_in", "backup.make",    "restore",        "keys.rotate",
    "request.refused"};

HttpTarget target_of(const std::string& url) {
  std::optional<HttpTarget> target = HttpTarget::parse(url);
  if (!target) throw std::runtime_error("\"" + url + "\" is no address for a webhook; write https://host/path");
  return std::move(*target);
}

// A restored store gives its numbers again, to other events: the time tells these apart.
std::string id_of(const engine::AuditRow& row) {
  return fmt::format("{}-{}", row.sequence, row.entry.at.value);
}

std::string body_of(const engine::AuditRow& row) {
  const json::object all = audit_object(row);
  json::object body{{"id", id_of(row)}, {"event", row.entry.action}};
  for (const json::string_view name : {"at", "user", "device", "actor", "address", "detail"}) {
    if (const json::value* const value = all.if_contains(name)) body[name] = *value;
  }
  return json::serialize(body);
}

bool receiver_is_away(const tl::expected<unsigned, std::string>& status) {
  return !status || *status == 429 || *status == 502 || *status == 503 || *status == 504;
}

}  // namespace

std::vector<std::string> default_webhook_events() {
  return {"device.confirm", "device.remove", "user.remove", "user.lock", "recovery_codes.make", "recovery_codes.use"};
}

bool known_webhook_event(std::string_view event) {
  return std::find(known_events.begin(), known_events.end(), event) != known_events.end();
}

std::string webhook_signature(const engine::SecretBytes& secret, std::int64_t at_s, std::string_view body) {
  const std::string message = std::to_string(at_s) + "." + std::string(body);
  std::array<unsigned char, 32> hash{};
  unsigned length = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(), hash.data(), &length) == nullptr) {
    throw std::runtime_error("HMAC-SHA256 failed");
  }
  return fmt::format("t={},v1={:02x}", at_s, fmt::join(hash, ""));
}

Webhook::Webhook(WebhookOptions options)
    : options_(std::move(options)), poster_(target_of(options_.url), options_.ca_file) {}

bool Webhook::wants(const engine::AuditEntry& entry) const {
  if (std::find(options_.events.begin(), options_.events.end(), entry.action) == options_.events.end()) return false;
  const bool about_a_code = entry.action == "device.confirm" || entry.action == "recovery_codes.use";
  return !about_a_code || entry.detail.find(R"("result":"rejected")") == std::string::npos;
}

tl::expected<unsigned, std::string> Webhook::post(const engine::AuditRow& row) const {
  const std::string body = body_of(row);
  return poster_.post({{"Content-Type", "application/json"},
                       {"Watchword-Id", id_of(row)},
                       {"Watchword-Signature", webhook_signature(options_.secret, engine::wall_now().seconds(), body)}},
                      body, options_.timeout_ms);
}

Delivery Webhook::deliver(std::span<const engine::AuditRow> rows, unsigned attempt) {
  const engine::AuditRow& row = rows.front();
  const auto status = post(row);
  if (status && *status >= 200 && *status < 300) {
    delivered_.fetch_add(1, std::memory_order_relaxed);
    return {.taken = 1};
  }
  const bool late = engine::wall_now().value - row.entry.at.value > options_.give_up_s * 1000;
  log(late ? Level::error : Level::warning, late ? "webhook gave up" : "webhook failed",
      {{"webhook", options_.name},
       {"id", id_of(row)},
       {"attempt", std::int64_t{attempt}},
       {"reason", status ? "status " + std::to_string(*status) : status.error()}});
  if (late) {
    given_up_.fetch_add(1, std::memory_order_relaxed);
    return {.taken = 1};
  }
  const bool aside = !receiver_is_away(status) && attempt >= refusals_before_aside;
  return {.taken = 0, .rest = aside ? Delivery::Rest::aside : Delivery::Rest::holds};
}

}  // namespace watchword::api
