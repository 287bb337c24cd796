// The fence: after anything that may have lost a tail of accepted steps (a restored backup, a failed sync), every step that
// could have been accepted until then is refused. Who replays all codes that were ever sent gets nothing accepted.
#pragma once

#include <cstdint>

#include "engine/policy.h"
#include "engine/types.h"

namespace watchword::engine {

// The newest step of this period that can have been accepted until `moment`; -1: there is no fence.
inline std::int64_t fenced_step(UnixMillis moment, std::uint16_t period_s, const Policy& policy) {
  if (moment.value <= 0) return -1;
  return step_at(moment, period_s) + static_cast<std::int64_t>(policy.window_steps + policy.max_drift_steps);
}

}  // namespace watchword::engine
