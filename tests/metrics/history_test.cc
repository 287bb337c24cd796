#include "metrics/history.h"

#include <gtest/gtest.h>

namespace watchword::metrics {
namespace {

using namespace std::chrono_literals;

History watched() {
  return {{{.name = "good", .metric = "watchword_things_total", .labels = {{"kind", "good"}}},
           {.name = "bad", .metric = "watchword_things_total", .labels = {{"kind", "bad"}}}},
          {{.name = "wait", .metric = "watchword_wait_seconds", .labels = {}}}};
}

TEST(History, KeepsTheSeriesThatItWatchesAndAddsUpTheirSources) {
  DurationHistogram first, second;
  first.observe(5us);
  second.observe(5us);
  second.observe(20s);
  History history = watched();
  for (const DurationHistogram* histogram : {&first, &second}) {
    history.add_collector([histogram](Collected& into) {
      into.histogram("watchword_wait_seconds", "Wait.", {}, *histogram);
      into.counter("watchword_things_total", "Things.", {{"kind", "bad"}}, 2);
      into.counter("watchword_things_total", "Things.", {{"kind", "ugly"}}, 7);
      into.counter("watchword_other_total", "Others.", {{"kind", "good"}}, 7);
      into.gauge("watchword_things", "Things.", {}, 7);
    });
  }
  history.read(1'000);
  ASSERT_EQ(history.readings().size(), 1u);
  const History::Reading reading = history.readings().front();
  EXPECT_EQ(reading.at_ms, 1'000);
  EXPECT_EQ(reading.counters, (std::vector<double>{0, 4}));
  ASSERT_EQ(reading.histograms.size(), 1u);
  EXPECT_EQ(reading.histograms[0].front(), 2u);
  EXPECT_EQ(reading.histograms[0].back(), 1u);
}

TEST(History, ForgetsWhatIsOlderThanHalfAnHour) {
  double count = 0;
  History history = watched();
  history.add_collector([&count](Collected& into) {
    into.counter("watchword_things_total", "Things.", {{"kind", "good"}}, ++count);
  });
  constexpr std::int64_t interval_ms = std::chrono::milliseconds(History::interval).count();
  for (std::int64_t i = 0; i < 400; ++i) history.read(i * interval_ms);
  const std::vector<History::Reading> readings = history.readings();
  ASSERT_EQ(readings.size(), History::readings_max);
  EXPECT_EQ(readings.back().at_ms - readings.front().at_ms, std::chrono::milliseconds(30min).count());
  EXPECT_EQ(readings.back().counters.front(), 400);
  EXPECT_EQ(readings.front().counters.front(), 40);
}

}  // namespace
}  // namespace watchword::metrics
