// Notices to other systems: one POST an event, signed, out of the audit trail (trail_follower.h). Of one webhook one notice
// is under way at a time, and what happened to one user is told in its order.
//
//   POST url
//   Watchword-Id:        the event's id: the same at every attempt
//   Watchword-Signature: t=<seconds since the epoch>,v1=<HMAC-SHA256(secret, t "." body) in hexadecimal>
//   {"id","event","at","user"?,"device"?,"actor","address"?,"detail"?}
//
// A status from 200 to 299 is taken as received. A receiver that is not there (no answer, 429, 502, 503, 504) gets nothing
// else until it is; one that refuses an event three times gets it again later, and that user's later events behind it. An
// event older than give_up_s is left out, counted, and told in the log.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/http_post.h"
#include "api/trail_follower.h"
#include "engine/types.h"

namespace watchword::api {

struct WebhookOptions {
  std::string name;  // in the log, in metrics, and of its place in the store; unique
  std::string url;
  std::string ca_file;              // for https; empty: the system's certificates
  engine::SecretBytes secret;       // of the signature
  std::vector<std::string> events;  // actions of the audit trail
  std::int64_t give_up_s = 259'200;
  std::int64_t timeout_ms = 10'000;
};

// Registration, removal, lock, recovery codes made and used.
std::vector<std::string> default_webhook_events();
bool known_webhook_event(std::string_view event);

// "t=1795528800,v1=…": of a body sent at that second.
std::string webhook_signature(const engine::SecretBytes& secret, std::int64_t at_s, std::string_view body);

class Webhook final : public TrailReceiver {
 public:
  // Throws std::runtime_error: the url is none, or the certificates cannot be read.
  explicit Webhook(WebhookOptions options);

  // A wrong code at a confirmation registers nothing, and a wrong recovery code uses none: these are no events.
  bool wants(const engine::AuditEntry& entry) const override;
  Delivery deliver(std::span<const engine::AuditRow> rows, unsigned attempt) override;
  void cancel() noexcept override { poster_.cancel(); }

  const std::string& name() const { return options_.name; }
  // Any thread, for metrics.
  std::uint64_t delivered() const noexcept { return delivered_.load(std::memory_order_relaxed); }
  std::uint64_t given_up() const noexcept { return given_up_.load(std::memory_order_relaxed); }

 private:
  tl::expected<unsigned, std::string> post(const engine::AuditRow& row) const;

  const WebhookOptions options_;
  HttpPoster poster_;
  // Written by the follower's thread; relaxed, they only count.
  std::atomic<std::uint64_t> delivered_{0};
  std::atomic<std::uint64_t> given_up_{0};
};

}  // namespace watchword::api
