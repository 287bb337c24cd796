#include "app/pulse.h"

#include <fmt/format.h>

#include <algorithm>

namespace watchword::app {

Pulse::Pulse(const api::Server& server, engine::Committer& committer)
    : server_(server), committer_(committer), turns_(server.loop_turns()), counted_at_(std::chrono::steady_clock::now()) {
  rounds_ = committer_.counters().rounds.load(std::memory_order_relaxed);
  committer_.kick();  // one that sleeps has nothing to do, and goes round once for us
}

bool Pulse::moved() {
  std::vector<std::uint64_t> turns = server_.loop_turns();
  const std::uint64_t rounds = committer_.counters().rounds.load(std::memory_order_relaxed);
  const bool all = rounds != rounds_ && std::equal(turns.begin(), turns.end(), turns_.begin(), turns_.end(),
                                                   [](std::uint64_t now, std::uint64_t before) { return now != before; });
  if (all) {
    turns_ = std::move(turns);
    rounds_ = rounds;
  }
  committer_.kick();
  return all;
}

std::string Pulse::rates(const engine::StoreHealth& health) {
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::max(0.001, std::chrono::duration<double>(now - counted_at_).count());
  const engine::CommitCounters& counters = committer_.counters();
  const std::uint64_t groups = counters.groups.load(std::memory_order_relaxed);
  const std::uint64_t words = counters.cells.load(std::memory_order_relaxed);
  std::string text = fmt::format("{}: {:.0f} commits/s with {:.0f} words/s, {} connections",
                                 health.writable ? "Serving" : "Refusing", static_cast<double>(groups - groups_) / seconds,
                                 static_cast<double>(words - words_) / seconds, server_.connections());
  if (!health.writable) text += "; " + health.reason;
  counted_at_ = now;
  groups_ = groups;
  words_ = words;
  return text;
}

}  // namespace watchword::app
