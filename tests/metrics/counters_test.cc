#include "metrics/counters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "metrics/ticks.h"

namespace watchword::metrics {
namespace {

using namespace std::chrono_literals;

TEST(SizeHistogram, PutsASizeIntoTheFirstBucketThatHoldsIt) {
  SizeHistogram histogram;
  for (const std::uint64_t size : {0, 1, 2, 3, 4, 5, 32768, 32769}) histogram.observe(size);
  EXPECT_EQ(histogram.count(0), 2u);   // 0, 1
  EXPECT_EQ(histogram.count(1), 1u);   // 2
  EXPECT_EQ(histogram.count(2), 2u);   // 3, 4
  EXPECT_EQ(histogram.count(3), 1u);   // 5
  EXPECT_EQ(histogram.count(15), 1u);  // 32,768
  EXPECT_EQ(histogram.count(16), 1u);  // beyond all
  EXPECT_EQ(histogram.sum(), 65552u);
}

TEST(DurationHistogram, HoldsTheBoundsOfTheServiceLevels) {
  const auto& bounds = DurationHistogram::bounds_ns;
  EXPECT_EQ(bounds.front(), std::chrono::nanoseconds(10us).count());
  EXPECT_EQ(bounds.back(), std::chrono::nanoseconds(10s).count());
  EXPECT_NE(std::find(bounds.begin(), bounds.end(), std::chrono::nanoseconds(10ms).count()), bounds.end());
  EXPECT_TRUE(std::is_sorted(bounds.begin(), bounds.end()));
}

TEST(DurationHistogram, PutsADurationIntoTheFirstBucketThatHoldsIt) {
  const auto& bounds = DurationHistogram::bounds_ns;
  const auto slowly = [&](std::int64_t ns) {
    return static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), ns) - bounds.begin());
  };
  for (const std::int64_t bound : bounds) {
    for (const std::int64_t ns : {bound - 1, bound, bound + 1})
      EXPECT_EQ(DurationHistogram::bucket_of(ns), slowly(ns)) << ns;
  }
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t power = std::int64_t{1} << bit;
    for (const std::int64_t ns : {power - 1, power, power + 1})
      EXPECT_EQ(DurationHistogram::bucket_of(ns), slowly(ns)) << ns;
  }
  DurationHistogram histogram;
  histogram.observe(-5ns);
  histogram.observe(10us);
  histogram.observe(10001ns);
  histogram.observe(11s);
  EXPECT_EQ(histogram.count(0), 2u);
  EXPECT_EQ(histogram.count(1), 1u);
  EXPECT_EQ(histogram.count(bounds.size()), 1u);
  EXPECT_EQ(histogram.sum_ns(), 11'000'020'001u);
}

TEST(Ticks, GoWithTheSteadyClock) {
  calibrate_ticks();
  const auto begin_time = std::chrono::steady_clock::now();
  const Ticks begin = ticks_now();
  std::this_thread::sleep_for(50ms);
  const Ticks end = ticks_now();
  const std::chrono::nanoseconds passed = std::chrono::steady_clock::now() - begin_time;
  const double ratio = static_cast<double>(between(begin, end).count()) / static_cast<double>(passed.count());
  EXPECT_GT(ratio, 0.9);
  EXPECT_LT(ratio, 1.01);
  EXPECT_EQ(between(end, begin).count(), 0) << "two cores' counters may be a few ticks apart";
}

}  // namespace
}  // namespace watchword::metrics
