// How often something may happen: a burst at once, and one more each `refill_ms`. A clock that was set back refills nothing
// until it has caught up; one that was set forward refills the burst once. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/types.h"

namespace watchword::api {

class RateBudget {
 public:
  RateBudget(std::uint32_t burst, std::uint32_t refill_ms) : burst_(burst), refill_ms_(refill_ms), tokens_(burst) {}

  bool take(engine::UnixMillis now) {
    const std::int64_t passed = now.value - refilled_at_ms_;
    if (passed >= refill_ms_) {
      tokens_ = static_cast<std::uint32_t>(std::min<std::int64_t>(burst_, tokens_ + passed / refill_ms_));
      refilled_at_ms_ = now.value;
    }
    if (tokens_ == 0) return false;
    --tokens_;
    return true;
  }

 private:
  const std::uint32_t burst_;
  const std::uint32_t refill_ms_;
  std::uint32_t tokens_;
  std::int64_t refilled_at_ms_ = 0;
};

}  // namespace watchword::api
