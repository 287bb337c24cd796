#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/keys_json.h"
#include "api/log.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

Response rotation_refused(const engine::RotationFault& fault) {
  using Refusal = engine::RotationRefusal;
  // A reason names what an administrator has to mend; the dot is ours.
  const std::string detail = fault.reason + ".";
  switch (fault.refusal) {
    case Refusal::running:
      return problem(409, "rotation_running", "Not now: " + detail);
    case Refusal::master_key_pending:
      return problem(409, "master_key_pending", "Not now: " + detail);
    case Refusal::master_key:
      return problem(409, "master_key_unavailable", "The present master key is needed: " + detail);
    case Refusal::new_master_key:
      return problem(400, "bad_request", "The new master key cannot be taken: " + detail, "new_master_key_file");
    case Refusal::not_supported:
    case Refusal::store_unavailable:
      break;
  }
  return refused(engine::Refusal::store_unavailable);
}

}  // namespace

Response show_data_keys(const AdminCall& call) {
  return json_answer(200, keys_object(call.engine.store.keys()));
}

Response rotate_data_keys(const AdminCall& call) {
  engine::RotationRequest rotation{.new_master_key_file = {}, .now = call.now};
  if (!call.request.body.empty()) {
    JsonFields fields(call.request.body);
    const std::optional<std::string> file = fields.optional_text("new_master_key_file");
    if (file && (!file->starts_with('/') || file->find('\0') != std::string::npos)) {
      fields.refuse("new_master_key_file", "Give the whole path of a file on the server, beginning with '/'.");
    }
    if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
    rotation.new_master_key_file = file.value_or("");
  }
  const auto rotated = call.engine.store.rotate_keys(rotation, [&](engine::Change& change) {
    change.audit.push_back({.at = call.now,
                            .origin = call.request.origin,
                            .action = "keys.rotate",
                            .user = {},
                            .device = {},
                            .detail = rotation_detail(call.engine.store.keys(), rotation)});
    return call.engine.committer.commit(change);
  });
  if (!rotated) return rotation_refused(rotated.error());
  log(Level::info, "keys rotated",
      {{"data_key", std::int64_t{rotated->data_keys.back().version}}, {"master_key", rotated->master_key}});
  return json_answer(202, keys_object(*rotated));
}

}  // namespace watchword::api
