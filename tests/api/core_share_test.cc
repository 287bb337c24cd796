#include "api/core_share.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

using namespace std::chrono_literals;

TEST(RestAfterRound, IsNothingAfterAShortRound) {
  EXPECT_EQ(rest_after_round(199us, 0us, 0.99), 0us);
  EXPECT_EQ(rest_after_round(199us, 0us, 1), 0us);
}

TEST(RestAfterRound, LeavesOthersAQuarter) {
  EXPECT_EQ(rest_after_round(6ms, 0ms, 0.99), 2ms);
}

TEST(RestAfterRound, CountsWhatOthersHadMeanwhile) {
  EXPECT_EQ(rest_after_round(6ms, 1ms, 0.99), 1ms);
}

TEST(RestAfterRound, IsATwelfthWhateverOthersHad) {
  EXPECT_EQ(rest_after_round(6ms, 2ms, 0.99), 500us);
  EXPECT_EQ(rest_after_round(6ms, 100ms, 0.99), 500us);
}

TEST(RestAfterRound, IsTheWholeQuarterOnTopWhileMemoryFills) {
  EXPECT_EQ(rest_after_round(6ms, 0ms, 1), 2ms);
  EXPECT_EQ(rest_after_round(6ms, 100ms, 1), 2ms);
}

TEST(RestAfterRound, IsMoreTheMoreMemoryIsBeyondWhatItMayBe) {
  EXPECT_EQ(rest_after_round(3ms, 0ms, 1.5), 4ms);
  EXPECT_EQ(rest_after_round(3ms, 0ms, 2), 7ms);
  EXPECT_EQ(rest_after_round(3ms, 100ms, 20), 7ms);
  EXPECT_NEAR(static_cast<double>(rest_after_round(3ms, 0ms, 4.0 / 3).count()), 3e6, 10) << "half of the core";
  EXPECT_EQ(rest_after_round(6ms, 0ms, 2), 8ms);
}

TEST(RestAfterRound, IsBounded) {
  EXPECT_EQ(rest_after_round(1s, 0ms, 0.99), 8ms);
  EXPECT_EQ(rest_after_round(1s, 1s, 1), 8ms);
}

}  // namespace
}  // namespace watchword::api
