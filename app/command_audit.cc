#include "app/command_audit.h"

#include <stdexcept>

#include "engine/committer.h"

namespace watchword::app {

void tell_in_trail(engine::Store& store, const std::string& action, std::string detail) {
  engine::Change change;
  change.audit.push_back({.at = engine::wall_now(),
                          .origin = {.actor = "cli", .address = {}, .trace = {}},
                          .action = action,
                          .user = {},
                          .device = {},
                          .detail = std::move(detail)});
  engine::Committer committer(store);
  if (committer.commit(change) == engine::Outcome::durable) return;
  throw std::runtime_error("the store took no entry for the audit trail about it: " + store.health().reason);
}

}  // namespace watchword::app
