// Fills the audit trail of a data directory that no server has open, as the committer does: groups of entries, one write
// each.
//
//   watchword-audit-trail DATA_DIR ENTRIES DAYS PEOPLE GROUP
//
// The entries are spread evenly over the DAYS before now. Of a hundred, 80 are refused verifications, 15 locks, 4 renamed
// devices, 1 is about the person "busy"; one in a million replaces the policy. PEOPLE are person0000000 and so on. GROUP
// entries go with one write: 1 on a server that has little to do, some hundred on one that has all it can take.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/rcu.h"
#include "storage/open.h"

namespace {

using namespace watchword;

constexpr std::int64_t day_ms = 86'400'000;

std::string person(std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "person%07llu", static_cast<unsigned long long>(number));
  return name;
}

engine::AuditEntry entry(std::uint64_t i, std::uint64_t people, engine::UnixMillis at) {
  engine::AuditEntry one{.at = at,
                         .origin = {.actor = "key:0123456789abcdef", .address = "10.1.2.3", .trace = {}},
                         .action = "verification",
                         .user = person(i * 2654435761 % people),
                         .device = {},
                         .detail = R"({"result":"rejected"})"};
  const std::uint64_t kind = i % 100;
  if (kind >= 80) one.action = "user.lock", one.detail = R"({"hard":false,"retry_after_s":1})";
  if (kind >= 95) one.action = "device.rename", one.device = "0123456789abcdef", one.detail = R"({"name":"My phone"})";
  if (kind == 99) one.user = "busy";
  if (i % 1'000'000 == 500'000) one.action = "policy.replace", one.user.clear(), one.detail = R"({"old":{},"new":{}})";
  return one;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "watchword-audit-trail DATA_DIR ENTRIES DAYS PEOPLE GROUP\n");
    return 2;
  }
  const std::uint64_t entries = std::strtoull(argv[2], nullptr, 10);
  const std::int64_t span_ms = std::strtoll(argv[3], nullptr, 10) * day_ms;
  const std::uint64_t people = std::max<std::uint64_t>(1, std::strtoull(argv[4], nullptr, 10));
  const std::uint64_t group = std::max<std::uint64_t>(1, std::strtoull(argv[5], nullptr, 10));
  const engine::RcuThread rcu;
  storage::RocksStoreOptions options;
  options.data_dir = argv[1];
  const auto store = storage::open_rocks_store(options);
  const std::int64_t begin_ms = engine::wall_now().value - span_ms;
  for (std::uint64_t i = 0; i < entries;) {
    engine::Change change;
    for (const std::uint64_t end = std::min(entries, i + group); i < end; ++i) {
      const auto part =
          static_cast<std::int64_t>(static_cast<double>(span_ms) * static_cast<double>(i) / static_cast<double>(entries));
      change.audit.push_back(entry(i, people, {begin_ms + part}));
    }
    const engine::Change* const changes[] = {&change};
    engine::Outcome outcome = engine::Outcome::failed;
    store->advance({}, changes, {}, {&outcome, 1});
    if (outcome != engine::Outcome::durable) {
      std::fprintf(stderr, "the store takes no writes: %s\n", store->health().reason.c_str());
      return 1;
    }
  }
  return 0;
}
