#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/log.h"
#include "api/problem.h"

namespace watchword::api {

namespace json = boost::json;

namespace {

Response not_made(engine::BackupRefusal why) {
  switch (why) {
    case engine::BackupRefusal::running:
      return problem(409, "backup_running", "A backup is being made already.");
    case engine::BackupRefusal::stopped:
      return problem(503, "not_ready", "The server is stopping; the backup was not made.");
    case engine::BackupRefusal::not_configured:
      break;
  }
  return problem(409, "backup_not_configured",
                 "The configuration says no place for backups: set dir in the table [backup].");
}

}  // namespace

Response make_backup(const AdminCall& call) {
  const auto made = call.engine.store.back_up();
  if (!made) return not_made(made.error());
  engine::Change told;
  told.audit.push_back({.at = call.now,
                        .origin = call.request.origin,
                        .action = "backup.make",
                        .user = {},
                        .device = {},
                        .detail = json::serialize(json::object{{"id", made->id}, {"bytes", made->bytes}})});
  if (call.engine.committer.commit(told) != engine::Outcome::durable) return refused(engine::Refusal::store_unavailable);
  log(Level::info, "backup made", {{"id", std::int64_t{made->id}}, {"bytes", static_cast<std::int64_t>(made->bytes)}});
  return json_answer(201, {{"id", made->id},
                           {"made_at", utc_text(made->made_at_s)},
                           {"bytes", made->bytes},
                           {"files", made->files},
                           {"verified", true}});
}

}  // namespace watchword::api
