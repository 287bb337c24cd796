// Everybody outside who hears of the audit trail, as the configuration says: a file, a syslog server, webhooks. Each has a
// follower and a thread of its own, so that one that stands still holds up no other.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "api/trail_file.h"
#include "api/trail_follower.h"
#include "api/trail_syslog.h"
#include "api/webhook.h"
#include "metrics/exposition.h"

namespace watchword::api {

struct TrailOutletOptions {
  std::filesystem::path file;  // empty: none
  std::optional<SyslogTarget> syslog;
  std::vector<WebhookOptions> webhooks;
};

class TrailOutlets {
 public:
  // Starts them all. Throws std::runtime_error, naming the webhook that cannot work.
  TrailOutlets(engine::Store& store, engine::Committer& committer, TrailOutletOptions options);
  ~TrailOutlets();  // stop()

  // SIGHUP: files are opened anew. Any thread.
  void reopen() noexcept;
  // Before the committer stops.
  void stop();
  // For as long as this lives.
  void expose(metrics::Exposition& exposition) const;

 private:
  std::unique_ptr<TrailFile> file_;
  std::unique_ptr<TrailSyslog> syslog_;
  std::vector<std::unique_ptr<Webhook>> webhooks_;
  // In this order, the receivers' ends before theirs.
  std::unique_ptr<TrailFollower> file_follower_, syslog_follower_;
  std::vector<std::unique_ptr<TrailFollower>> webhook_followers_;
};

}  // namespace watchword::api
