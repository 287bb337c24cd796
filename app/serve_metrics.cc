#include "app/serve_metrics.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <optional>

namespace watchword::app {
namespace {

using metrics::Collected;
using metrics::Exposition;
using metrics::Labels;

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

void expose_directory(Exposition& exposition, engine::Engine& engine) {
  exposition.add_gauge("watchword_directory_residents", "Users in memory.", {},
                       [&] { return number(engine.directory.size()); });
  exposition.add_gauge("watchword_directory_bytes", "Memory of the users in memory and their tables.", {},
                       [&] { return number(engine.directory.bytes()); });
  exposition.add_counter("watchword_directory_loads_total", "Users brought into memory because somebody asked about them.",
                         {}, [&] { return number(engine.registrar.loads()); });
  exposition.add_counter("watchword_directory_evictions_total", "Users who left memory because it was full.", {},
                         [&] { return number(engine.directory.evictions()); });
  exposition.add_gauge("watchword_directory_bytes_limit", "Memory that users in memory may take; 0: no limit.", {},
                       [&] { return number(engine.memory.bytes_max()); });
}

void expose_registrations(Exposition& exposition, engine::Engine& engine) {
  exposition.add_collector([&engine](Collected& into) {
    const engine::RegistrationStages::Counts counts = engine.registrar.stages().counts(engine::wall_now());
    const auto stage = [&](const char* name, std::uint64_t value) {
      into.counter("watchword_registrations_total",
                   "Registrations by stage; expired: by time, by wrong codes, or replaced by later ones.", {{"stage", name}},
                   number(value));
    };
    stage("begun", counts.begun);
    stage("confirmed", counts.confirmed);
    stage("expired", counts.expired);
    into.gauge("watchword_registrations_pending", "Registrations begun since the start that wait for their confirmation.",
               {}, number(counts.pending));
  });
}

}  // namespace

void CommitMetrics::committed(const engine::GroupReport& group) noexcept {
  duration_.observe(group.spent);
  cells_.observe(group.cells);
  changes_.add(group.changes);
  if (!group.durable) failed_.add();
}

void CommitMetrics::collect(Collected& into) const {
  into.histogram("watchword_commit_duration_seconds", "A group commit: one write and one sync.", {}, duration_);
  into.histogram("watchword_commit_group_size", "Words in one group commit.", {}, cells_);
  into.counter("watchword_commit_changes_total", "Changes to registrations, policy, keys and the like in group commits.", {},
               number(changes_.value()));
  into.counter("watchword_commit_failures_total", "Group commits that are not on disk, and whose answers were 503.", {},
               number(failed_.value()));
}

void expose_engine(Exposition& exposition, engine::Engine& engine) {
  expose_directory(exposition, engine);
  expose_registrations(exposition, engine);
  exposition.add_gauge("watchword_commit_queue_depth", "Words that wait for a group commit.", {},
                       [&] { return number(engine.committer.waiting()); });
  exposition.add_counter("watchword_audit_notes_lost_total",
                         "Entries about verifications in groups that could not be written: nothing in them was accepted.",
                         {}, [&] { return number(engine.committer.counters().notes_lost.load(std::memory_order_relaxed)); });
  exposition.add_gauge("watchword_fence_timestamp_seconds",
                       "Codes of steps up to this moment are refused, seconds since 1970; 0: no fence.", {},
                       [&] { return static_cast<double>(engine.store.fence().value) * 1e-3; });
  exposition.add_collector([&store = engine.store](Collected& into) {
    for (const engine::StoreFigure& figure : store.figures()) {
      const Labels labels = figure.label.empty() ? Labels{} : Labels{{figure.label, figure.label_value}};
      if (figure.counts) {
        into.counter(figure.name, figure.help, labels, figure.value);
      } else {
        into.gauge(figure.name, figure.help, labels, figure.value);
      }
    }
  });
}

void expose_access_keys(Exposition& exposition, const api::AccessKeys& keys) {
  exposition.add_collector([&keys](Collected& into) {
    const std::int64_t now_s = engine::wall_now().seconds();
    std::optional<std::int64_t> first_s;
    std::uint64_t valid = 0;
    for (const api::AccessKeyView& key : keys.list()) {
      if (key.expired(now_s)) continue;
      ++valid;
      if (key.expires_at_s != 0) first_s = std::min(first_s.value_or(key.expires_at_s), key.expires_at_s);
    }
    into.gauge("watchword_api_keys", "API keys that count.", {}, number(valid));
    if (!first_s) return;
    into.gauge("watchword_api_key_expiry_timestamp_seconds",
               "When the first of the API keys that count ends, seconds since 1970; absent: none ever does.", {},
               static_cast<double>(*first_s));
  });
}

void expose_build(Exposition& exposition, const std::string& kernel) {
  exposition.add_gauge("watchword_build_info", "The program; always 1.",
                       {{"version", WATCHWORD_VERSION},
                        {"compiler", __VERSION__},
                        {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
                        {"hmac", kernel}},
                       [] { return 1.0; });
}

}  // namespace watchword::app
