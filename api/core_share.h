// What a loop that is never idle leaves of its core to others: the store's background gives way to loops, and would never
// be through beside one that is always ready.
#pragma once

#include <algorithm>
#include <chrono>

namespace watchword::api {

// How long a loop rests after a round, in which it had `own` of the core and others had `others`, while the store has
// something to do (Store::behind). Others get a quarter of the core, and what they had during the round counts: a twelfth
// at least, since a hypervisor may have been among them. Where memory fills up behind the loop (Store::filling_memory) it is
// the whole quarter on top: the committer was among them, who fills it.
constexpr std::chrono::nanoseconds rest_after_round(std::chrono::nanoseconds own, std::chrono::nanoseconds others,
                                                    bool filling_memory) noexcept {
  constexpr std::chrono::nanoseconds busy_round = std::chrono::microseconds(200);  // who has shorter ones has an idle core
  constexpr std::chrono::nanoseconds rest_max = std::chrono::milliseconds(8);
  if (own < busy_round) return {};
  const std::chrono::nanoseconds share = own / 3;
  return std::min(filling_memory ? share : std::max(share - others, share / 4), rest_max);
}

}  // namespace watchword::api
