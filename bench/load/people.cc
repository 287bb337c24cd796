#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "bench/load/requests.h"

namespace watchword::load {
namespace {

// Replays need few people: a code can be replayed as often as one likes, but each person costs an acceptance a step.
constexpr std::size_t replay_users_a_thread_max = 500;
constexpr std::array pooled = {Kind::accept, Kind::wrong, Kind::replay, Kind::batch, Kind::cold, Kind::attack_many};

}  // namespace

People::People(const Options& options, std::size_t users) : threads_(options.threads) {
  std::size_t at = 0;
  if (options.mix.has(Kind::hot)) hot_ = static_cast<std::uint32_t>(at++);
  if (options.mix.has(Kind::attack_one)) attacked_ = static_cast<std::uint32_t>(at++);
  std::array<std::size_t, kinds> least{}, count{};
  std::array<double, kinds> want{};
  std::size_t needed = at;
  double wanted = 0;
  for (const Kind kind : pooled) {
    if (!options.mix.has(kind)) continue;
    const auto k = static_cast<std::size_t>(kind);
    // Two batches a thread, so that one can be in flight while the other one is made.
    least[k] = kind == Kind::batch ? std::size_t{2} * options.batch_size * threads_ : threads_;
    want[k] = options.mix.share(kind) * (kind == Kind::batch ? options.batch_size : 1);
    needed += least[k];
    wanted += want[k];
  }
  if (users < needed)
    throw std::invalid_argument(fmt::format("{} users are too few for this mix; it needs {} at least", users, needed));
  const std::size_t spare = users - needed;
  for (const Kind kind : pooled) {
    const auto k = static_cast<std::size_t>(kind);
    if (want[k] == 0) continue;
    count[k] = least[k] + static_cast<std::size_t>(static_cast<double>(spare) * want[k] / wanted);
    if (kind == Kind::replay) count[k] = std::min(count[k], replay_users_a_thread_max * threads_);
    ranges_[k] = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + count[k])};
    at += count[k];
  }
}

std::deque<std::uint32_t> People::pool(Kind kind, unsigned thread) const {
  const Range range = ranges_[static_cast<std::size_t>(kind)];
  std::deque<std::uint32_t> users;
  for (std::uint32_t user = range.begin + thread; user < range.end; user += threads_) users.push_back(user);
  return users;
}

}  // namespace watchword::load
