#include "metrics/exposition.h"

#include <gtest/gtest.h>

namespace watchword::metrics {
namespace {

TEST(Exposition, AddsUpTheThreadsOfOneSeries) {
  Counter first, second;
  first.add(3);
  second.add(4);
  Exposition exposition;
  for (const Counter* counter : {&first, &second}) {
    exposition.add_counter("watchword_things_total", "Things.", {{"kind", "good"}},
                           [counter] { return static_cast<double>(counter->value()); });
  }
  const std::string text = exposition.scrape();
  EXPECT_NE(text.find("# HELP watchword_things_total Things.\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# TYPE watchword_things_total counter\n"), std::string::npos);
  EXPECT_NE(text.find("watchword_things_total{kind=\"good\"} 7\n"), std::string::npos);
}

TEST(Exposition, WritesCumulativeBucketsAndTheSum) {
  DurationHistogram histogram;
  using namespace std::chrono_literals;
  histogram.observe(5us);
  histogram.observe(10us);
  histogram.observe(11us);
  histogram.observe(20s);
  Exposition exposition;
  exposition.add_histogram("watchword_wait_seconds", "Wait.", {}, histogram);
  const std::string text = exposition.scrape();
  EXPECT_NE(text.find("le=\"1e-05\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("le=\"10\"} 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("le=\"+Inf\"} 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("watchword_wait_seconds_count 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("watchword_wait_seconds_sum 20.000026"), std::string::npos) << text;
}

}  // namespace
}  // namespace watchword::metrics
