// The last half hour of verifications and group commits, for the console's live page.
#pragma once

#include "api/message.h"
#include "engine/types.h"
#include "metrics/history.h"

namespace watchword::api {

// Reads what the page draws: verifications by result, the time to answer one, a group commit.
class LiveHistory : public metrics::History {
 public:
  LiveHistory();
};

// GET /console/api/metrics/history: {"interval_s","server_time","bounds_s":[...],"readings":[{"at_ms","verifications":{...},
// "verification_duration":[...],"commit_duration":[...]}]}, oldest first. Counts since the process began; of a histogram,
// one bucket for each bound and one for what is above them, not cumulative.
Response history_answer(const metrics::History& history, engine::UnixMillis now);

}  // namespace watchword::api
