// init, and the commands about API keys. They own the data directory while they run; a running server has /v1/api-keys for
// the same.
#include <array>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "api/access_keys.h"
#include "api/admin_json.h"
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
    case Refusal::bad_expiry:
      return "a key expires in the future, in ten years at the latest";
    case Refusal::bad_address_range:
      return "address ranges are up to 64 networks such as 10.0.0.0/8, without bits beyond their prefix, or single "
             "addresses";
    case Refusal::bad_rate:
      return "a rate is at most 1,000,000 requests a second";
    case Refusal::bad_overlap:
      return "the old key may go on counting for at most 90 days";
    case Refusal::expired:
      return "this key has expired; give it a new end with --expires-in";
    case Refusal::too_many_secrets:
      return "this key was rotated four times while its old secrets still count; --overlap 0s ends them all";
    case Refusal::store_unavailable:
      return "the store took no write; nothing was changed";
  }
  return "refused";
}

api::NewAccessKey shown(Office& office, tl::expected<api::NewAccessKey, api::AccessKeys::Refusal> made) {
  if (made) return std::move(*made);
  const engine::StoreHealth health = office.store->health();
  throw std::runtime_error(explain(made.error()) + (health.writable ? "" : " (" + health.reason + ")"));
}

api::Scopes parse_scopes(const std::vector<std::string>& texts) {
  api::Scopes scopes = 0;
  for (const std::string& text : texts) {
    const auto scope = api::parse_scope(text);
    if (!scope)
      throw std::runtime_error("\"" + text + "\" is no scope; there are verify, enroll, read, admin, audit and metrics");
    scopes = static_cast<api::Scopes>(scopes | static_cast<api::Scopes>(*scope));
  }
  return scopes;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all.empty() ? "-" : all;
}

std::string time_or_dash(std::int64_t seconds) {
  return seconds == 0 ? "-" : api::utc_text(seconds);
}

}  // namespace

int run_init(const Config& config) {
  storage::init_data_dir(config.store);
  Office office(config);
  const api::NewAccessKey key =
      shown(office, office.keys.create({.name = "admin", .scopes = static_cast<api::Scopes>(api::Scope::admin)},
                                       command_line, engine::wall_now()));
  std::printf("%s\n", key.key.c_str());
  std::fprintf(stderr,
               "Made %s. The line on standard output is the first API key (scope admin); it is not shown again.\n"
               "Keep a copy of the master key file elsewhere: without it no secret can be opened.\n"
               "Next: watchword serve --data-dir %s\n",
               config.store.data_dir.c_str(), config.store.data_dir.c_str());
  return 0;
}

std::int64_t parse_duration_s(const std::string& text) {
  constexpr std::array<std::pair<char, std::int64_t>, 4> units = {{{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86'400}}};
  constexpr std::int64_t count_max = 1'000'000'000;
  std::int64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, count);
  for (const auto& [unit, seconds] : units) {
    if (fault == std::errc{} && stop + 1 == end && *stop == unit && count >= 0 && count <= count_max) return count * seconds;
  }
  throw std::runtime_error("\"" + text + "\" is no duration; write 90d, 12h, 30m or 45s");
}

int run_key_create(const Config& config, const KeyOptions& options) {
  const engine::UnixMillis now = engine::wall_now();
  api::AccessKeyTerms terms{.name = options.name, .scopes = parse_scopes(options.scopes)};
  if (!options.expires_in.empty()) terms.expires_at_s = now.seconds() + parse_duration_s(options.expires_in);
  terms.address_ranges = options.address_ranges;
  terms.requests_per_second = options.requests_per_second;
  Office office(config);
  const api::NewAccessKey key = shown(office, office.keys.create(std::move(terms), command_line, now));
  std::printf("%s\n", key.key.c_str());
  std::fprintf(stderr, "Made the key %s. The line on standard output is not shown again.\n", key.view.id.c_str());
  return 0;
}

// Id, scopes, name, end, last use, address ranges, rate: a line a key, separated by tabs.
int run_key_list(const Config& config) {
  Office office(config);
  for (const api::AccessKeyView& key : office.keys.list()) {
    const std::string rate = key.requests_per_second == 0 ? "-" : std::to_string(key.requests_per_second);
    std::printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.id.c_str(), joined(api::scope_names(key.scopes)).c_str(),
                key.name.c_str(), time_or_dash(key.expires_at_s).c_str(), time_or_dash(key.last_used_at_s).c_str(),
                joined(key.address_ranges).c_str(), rate.c_str());
  }
  return 0;
}

int run_key_rotate(const Config& config, const std::string& id, const std::string& overlap, const std::string& expires_in) {
  const engine::UnixMillis now = engine::wall_now();
  api::KeyRotation rotation;
  if (!overlap.empty()) rotation.overlap_s = parse_duration_s(overlap);
  if (!expires_in.empty()) rotation.expires_at_s = now.seconds() + parse_duration_s(expires_in);
  Office office(config);
  const api::NewAccessKey key = shown(office, office.keys.rotate(id, rotation, command_line, now));
  std::printf("%s\n", key.key.c_str());
  std::fprintf(stderr, "Rotated the key %s. The line on standard output is not shown again; the old key counts %s.\n",
               id.c_str(), key.view.old_until_s == 0 ? "no more" : ("until " + api::utc_text(key.view.old_until_s)).c_str());
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
