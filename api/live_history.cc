#include "api/live_history.h"

#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/audit_json.h"
#include "api/loop_metrics.h"

namespace watchword::api {
namespace {

namespace json = boost::json;
using metrics::History;

std::vector<History::Series> results() {
  std::vector<History::Series> series;
  series.reserve(std::size(asked_names));
  for (const char* const name : asked_names) {
    series.push_back({.name = name, .metric = "watchword_verifications_total", .labels = {{"result", name}}});
  }
  return series;
}

}  // namespace

LiveHistory::LiveHistory()
    : History(results(), {{.name = "verification_duration",
                           .metric = "watchword_verification_duration_seconds",
                           .labels = {{"stage", "total"}}},
                          {.name = "commit_duration", .metric = "watchword_commit_duration_seconds", .labels = {}}}) {}

Response history_answer(const History& history, engine::UnixMillis now) {
  json::array bounds;
  for (const std::int64_t bound : metrics::DurationHistogram::bounds_ns) bounds.push_back(static_cast<double>(bound) / 1e9);
  json::array readings;
  for (const History::Reading& reading : history.readings()) {
    json::object verifications;
    for (std::size_t i = 0; i < reading.counters.size(); ++i) {
      verifications[history.counters()[i].name] = static_cast<std::uint64_t>(reading.counters[i]);
    }
    json::object one{{"at_ms", reading.at_ms}, {"verifications", std::move(verifications)}};
    for (std::size_t i = 0; i < reading.histograms.size(); ++i) {
      json::array buckets;
      for (const std::uint64_t count : reading.histograms[i]) buckets.push_back(count);
      one[history.histograms()[i].name] = std::move(buckets);
    }
    readings.push_back(std::move(one));
  }
  return json_answer(200, {{"interval_s", history.interval.count()},
                           {"server_time", utc_text_ms(now)},
                           {"bounds_s", std::move(bounds)},
                           {"readings", std::move(readings)}});
}

}  // namespace watchword::api
