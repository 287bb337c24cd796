// init, and the commands about API keys. They own the data directory while they run; a running server has GET, POST and
// DELETE /v1/api-keys for the same.
#include <cstdio>
#include <stdexcept>

#include "api/access_keys.h"
#include "app/commands.h"
#include "engine/rcu.h"
#include "storage/open.h"

namespace watchword::app {
namespace {

const engine::Origin command_line{.actor = "cli", .address = {}, .trace = {}};

// The store, opened for a short while, with what keys need.
struct Office {
  explicit Office(const Config& config)
      : store(storage::open_rocks_store(config.store)), committer(*store), keys(*store, committer) {}
  engine::RcuThread rcu;
  std::unique_ptr<engine::Store> store;
  engine::Committer committer;
  api::AccessKeys keys;
};

std::string explain(api::AccessKeys::Refusal refusal) {
  using Refusal = api::AccessKeys::Refusal;
  switch (refusal) {
    case Refusal::not_found:
      return "there is no key with this id; see: watchword api-key list";
    case Refusal::last_admin:
      return "this is the last key with the scope admin; create another one first";
    case Refusal::bad_name:
      return "a key's name has 1 to 64 characters, none of them control characters";
    case Refusal::no_scopes:
      return "a key needs at least one scope";
    case Refusal::store_unavailable:
      return "the store took no write; nothing was changed";
  }
  return "refused";
}

api::NewAccessKey create_key(Office& office, const std::string& name, api::Scopes scopes) {
  auto created = office.keys.create(name, scopes, command_line, engine::wall_now());
  if (!created) {
    const engine::StoreHealth health = office.store->health();
    throw std::runtime_error(explain(created.error()) + (health.writable ? "" : " (" + health.reason + ")"));
  }
  return std::move(*created);
}

}  // namespace

int run_init(const Config& config) {
  storage::init_data_dir(config.store);
  Office office(config);
  const api::NewAccessKey key = create_key(office, "admin", static_cast<api::Scopes>(api::Scope::admin));
  std::printf("%s\n", key.key.c_str());
  std::fprintf(stderr,
               "Made %s. The line on standard output is the first API key (scope admin); it is not shown again.\n"
               "Keep a copy of the master key file elsewhere: without it no secret can be opened.\n"
               "Next: watchword serve --data-dir %s\n",
               config.store.data_dir.c_str(), config.store.data_dir.c_str());
  return 0;
}

int run_key_create(const Config& config, const std::string& name, const std::vector<std::string>& scopes) {
  api::Scopes wanted = 0;
  for (const std::string& text : scopes) {
    const auto scope = api::parse_scope(text);
    if (!scope)
      throw std::runtime_error("\"" + text + "\" is no scope; there are verify, enroll, read, admin, audit and metrics");
    wanted = static_cast<api::Scopes>(wanted | static_cast<api::Scopes>(*scope));
  }
  Office office(config);
  const api::NewAccessKey key = create_key(office, name, wanted);
  std::printf("%s\n", key.key.c_str());
  std::fprintf(stderr, "Made the key %s. The line on standard output is not shown again.\n", key.view.id.c_str());
  return 0;
}

int run_key_list(const Config& config) {
  Office office(config);
  for (const api::AccessKeyView& key : office.keys.list()) {
    std::string scopes;
    for (const std::string& scope : api::scope_names(key.scopes)) scopes += (scopes.empty() ? "" : ",") + scope;
    std::printf("%s\t%s\t%s\n", key.id.c_str(), scopes.c_str(), key.name.c_str());
  }
  return 0;
}

int run_key_revoke(const Config& config, const std::string& id) {
  Office office(config);
  const auto revoked = office.keys.revoke(id, command_line, engine::wall_now());
  if (!revoked) throw std::runtime_error(explain(revoked.error()));
  std::fprintf(stderr, "Revoked %s.\n", id.c_str());
  return 0;
}

}  // namespace watchword::app
