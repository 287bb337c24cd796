#include "api/core_share.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

using namespace std::chrono_literals;

TEST(RestAfterRound, IsNothingAfterAShortRound) {
  EXPECT_EQ(rest_after_round(199us, 0us, false), 0us);
  EXPECT_EQ(rest_after_round(199us, 0us, true), 0us);
}

TEST(RestAfterRound, LeavesOthersAQuarter) {
  EXPECT_EQ(rest_after_round(6ms, 0ms, false), 2ms);
}

TEST(RestAfterRound, CountsWhatOthersHadMeanwhile) {
  EXPECT_EQ(rest_after_round(6ms, 1ms, false), 1ms);
}

TEST(RestAfterRound, IsATwelfthWhateverOthersHad) {
  EXPECT_EQ(rest_after_round(6ms, 2ms, false), 500us);
  EXPECT_EQ(rest_after_round(6ms, 100ms, false), 500us);
}

TEST(RestAfterRound, IsTheWholeQuarterOnTopWhileMemoryFills) {
  EXPECT_EQ(rest_after_round(6ms, 0ms, true), 2ms);
  EXPECT_EQ(rest_after_round(6ms, 100ms, true), 2ms);
}

TEST(RestAfterRound, IsBounded) {
  EXPECT_EQ(rest_after_round(1s, 0ms, false), 8ms);
  EXPECT_EQ(rest_after_round(1s, 1s, true), 8ms);
}

}  // namespace
}  // namespace watchword::api
