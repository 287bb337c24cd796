// What a loop that is never idle leaves of its core to others: the store's background gives way to loops, and would never
// be through beside one that is always ready.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace watchword::api {

// How long a loop rests after a round, in which it had `own` of the core and others had `others`, while the store has
// something to do (Store::behind). Others get a quarter of the core, and what they had during the round counts: a twelfth
// at least, since a hypervisor may have been among them. Where memory is full behind the loop (Store::memory_filled) it is
// the whole quarter on top, since the committer was among them, who fills it; and more of it with what is beyond: half of
// the core at 4/3, up to 8 ms a round.
constexpr std::chrono::nanoseconds rest_after_round(std::chrono::nanoseconds own, std::chrono::nanoseconds others,
                                                    double memory_filled) noexcept {
  constexpr std::chrono::nanoseconds busy_round = std::chrono::microseconds(200);  // who has shorter ones has an idle core
  constexpr std::chrono::nanoseconds rest_max = std::chrono::milliseconds(8);
  constexpr double more_a_whole = 6, beyond_max = 1;
  if (own < busy_round) return {};
  const std::chrono::nanoseconds share = own / 3;
  if (memory_filled < 1) return std::min(std::max(share - others, share / 4), rest_max);
  const double beyond = std::min(memory_filled - 1, beyond_max);
  const auto wanted = static_cast<double>(share.count()) * (1 + more_a_whole * beyond);
  return std::min(std::chrono::nanoseconds(static_cast<std::int64_t>(wanted)), rest_max);
}

}  // namespace watchword::api
