#include "bench/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace watchword::load {
namespace {

TEST(Histogram, ReadsBackEveryPercentileToOnePartIn128) {
  Histogram histogram;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> spread(13, 2);
  std::vector<std::int64_t> values(100'000);
  for (std::int64_t& value : values) histogram.record(value = static_cast<std::int64_t>(spread(random)));
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const auto exact = static_cast<double>(values[static_cast<std::size_t>(share * 100'000) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(share)), exact, exact / 128 + 1) << share;
  }
  EXPECT_EQ(histogram.percentile(1), values.back());
  EXPECT_EQ(histogram.count(), values.size());
}

TEST(Histogram, ABucketHoldsWhatItSaysOverAllSizes) {
  for (int bit = 0; bit < Histogram::value_bits; ++bit) {
    for (const std::int64_t value : {std::int64_t{1} << bit, (std::int64_t{1} << bit) + 1, (std::int64_t{2} << bit) - 1}) {
      const std::size_t bucket = Histogram::bucket_of(value);
      EXPECT_LE(value, Histogram::highest_in(bucket));
      if (bucket > 0) {
        EXPECT_GT(value, Histogram::highest_in(bucket - 1));
      }
    }
  }
}

TEST(Histogram, WhatCameSinceACopyIsTheDifference) {
  Histogram histogram;
  histogram.record(1000);
  const Histogram before(histogram);
  histogram.record(5000);
  histogram.record(7000);
  const Histogram since = histogram.since(before);
  EXPECT_EQ(since.count(), 2u);
  EXPECT_NEAR(since.mean(), 6000, 1);
  EXPECT_GE(since.percentile(0.01), 4900);
  EXPECT_EQ(since.percentile(1), 7000);
}

TEST(Histogram, WhatIsOutOfRangeCountsAsTheEdge) {
  Histogram histogram;
  histogram.record(-5);
  histogram.record(std::int64_t{1} << 62);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.percentile(0.5), 0);
  EXPECT_EQ(histogram.max(), (std::int64_t{1} << Histogram::value_bits) - 1);
}

}  // namespace
}  // namespace watchword::load
