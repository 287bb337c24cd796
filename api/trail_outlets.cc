#include "api/trail_outlets.h"

#include <stdexcept>

#include "api/log.h"

namespace watchword::api {

TrailOutlets::TrailOutlets(engine::Store& store, engine::Committer& committer, TrailOutletOptions options) {
  if (!options.file.empty()) {
    file_ = std::make_unique<TrailFile>(options.file);
    file_follower_ = std::make_unique<TrailFollower>(store, committer, "file", *file_);
  }
  if (options.syslog) {
    syslog_ = std::make_unique<TrailSyslog>(*options.syslog);
    syslog_follower_ = std::make_unique<TrailFollower>(store, committer, "syslog", *syslog_);
  }
  for (WebhookOptions& webhook : options.webhooks) {
    const std::string name = webhook.name;
    try {
      webhooks_.push_back(std::make_unique<Webhook>(std::move(webhook)));
    } catch (const std::runtime_error& fault) {
      throw std::runtime_error("webhook " + name + ": " + fault.what());
    }
    webhook_followers_.push_back(std::make_unique<TrailFollower>(store, committer, "webhook/" + name, *webhooks_.back()));
  }
  if (file_follower_) file_follower_->start();
  if (syslog_follower_) syslog_follower_->start();
  for (const auto& follower : webhook_followers_) follower->start();
}

TrailOutlets::~TrailOutlets() {
  stop();
}

void TrailOutlets::reopen() noexcept {
  if (file_) file_->reopen();
}

void TrailOutlets::stop() {
  // All are told before any is waited for.
  if (syslog_) syslog_->cancel();
  for (const auto& webhook : webhooks_) webhook->cancel();
  if (file_follower_) file_follower_->stop();
  if (syslog_follower_) syslog_follower_->stop();
  for (const auto& follower : webhook_followers_) follower->stop();
}

void TrailOutlets::expose(metrics::Exposition& exposition) const {
  const auto stream = [&](const char* name, const TrailFollower* follower) {
    if (follower == nullptr) return;
    exposition.add_gauge("watchword_audit_backlog", "Entries of the audit trail that a stream has not delivered yet.",
                         {metrics::Label("stream", name)}, [follower] { return static_cast<double>(follower->backlog()); });
    exposition.add_counter("watchword_audit_stream_entries_total", "Entries of the audit trail that a stream delivered.",
                           {metrics::Label("stream", name)}, [follower] { return static_cast<double>(follower->taken()); });
    exposition.add_counter("watchword_audit_stream_failures_total", "Attempts of a stream to deliver that failed.",
                           {metrics::Label("stream", name)},
                           [follower] { return static_cast<double>(follower->failures()); });
  };
  stream("file", file_follower_.get());
  stream("syslog", syslog_follower_.get());
  for (std::size_t i = 0; i < webhooks_.size(); ++i) {
    const Webhook* const webhook = webhooks_[i].get();
    const TrailFollower* const follower = webhook_followers_[i].get();
    const metrics::Label label{"webhook", webhook->name()};
    exposition.add_gauge("watchword_webhook_backlog",
                         "Entries of the audit trail that a webhook has still to look at or to deliver.", {label},
                         [follower] { return static_cast<double>(follower->backlog()); });
    const auto deliveries = [&](const char* result, auto read) {
      exposition.add_counter("watchword_webhook_deliveries_total", "Attempts to deliver an event, by what came of them.",
                             {label, metrics::Label("result", result)}, [read] { return static_cast<double>(read()); });
    };
    deliveries("delivered", [webhook] { return webhook->delivered(); });
    deliveries("failed", [follower] { return follower->failures(); });
    deliveries("given_up", [webhook] { return webhook->given_up(); });
    deliveries("lost", [follower] { return follower->lost(); });
  }
}

}  // namespace watchword::api
