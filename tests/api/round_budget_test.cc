#include "api/round_budget.h"

#include <gtest/gtest.h>

namespace watchword::api::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class RoundBudgetTest : public ::testing::Test {
 protected:
  // A round that takes what it may out of `asked`, each at that cost. Returns how many were taken.
  std::size_t round(std::size_t asked, nanoseconds cost) {
    std::size_t taken = 0;
    for (std::size_t i = 0; i < asked; ++i) {
      if (budget.full()) {
        if (refuses) budget.refused();
        continue;
      }
      budget.take_one([this] { return now; });
      ++taken;
    }
    now += cost * taken;
    budget.end(now);
    return taken;
  }
  RoundBudget budget;
  static constexpr unsigned refusing_until_crowded = RoundBudget::crowd_least / RoundBudget::crowd_refusing;
  bool refuses = false;  // tells the budget of those who found no room
  nanoseconds now{milliseconds(5000)};
};

TEST_F(RoundBudgetTest, TakesAllOfSmallRounds) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(round(64, microseconds(12)), 64u);
}

TEST_F(RoundBudgetTest, EndsARoundWhereItsTimeIsFull) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(5));
  const std::size_t taken = round(10'000, microseconds(5));
  EXPECT_NEAR(static_cast<double>(taken * 5), 8'000, 200);
}

TEST_F(RoundBudgetTest, LearnsWhatAVerificationCosts) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(40));
  EXPECT_NEAR(static_cast<double>(budget.limit()), 200, 5);
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  EXPECT_NEAR(static_cast<double>(budget.limit()), 2000, 50);
}

TEST_F(RoundBudgetTest, AHeldUpRoundDoesNotCloseTheDoor) {
  for (int i = 0; i < 100; ++i) round(1000, milliseconds(3));
  EXPECT_EQ(budget.limit(), RoundBudget::verifications_min);
  for (int i = 0; i < 100; ++i) round(1000, microseconds(6));
  EXPECT_GT(budget.limit(), 1200u);
}

TEST_F(RoundBudgetTest, ABatchThatFillsARoundIsTakenWholeAndTheNextIsNot) {
  const auto clock = [this] { return now; };
  budget.take_one(clock);
  ASSERT_FALSE(budget.full());
  budget.take_batch(100'000, clock);
  EXPECT_TRUE(budget.full());
  budget.end(now + milliseconds(100));
  EXPECT_FALSE(budget.full());
}

TEST_F(RoundBudgetTest, SeveralFullBatchesFitIntoARound) {
  const auto clock = [this] { return now; };
  for (int i = 0; i < 4; ++i) {
    ASSERT_FALSE(budget.full());
    budget.take_batch(1000, clock);
  }
}

TEST_F(RoundBudgetTest, LearnsNothingFromRoundsWithBatches) {
  for (int i = 0; i < 100; ++i) round(1000, microseconds(8));
  const std::size_t limit = budget.limit();
  for (int i = 0; i < 100; ++i) {
    budget.take_batch(1000, [this] { return now; });
    now += microseconds(300);
    budget.end(now);
  }
  EXPECT_EQ(budget.limit(), limit);
}

TEST_F(RoundBudgetTest, ALateLoopTakesAQuarterUntilItHasCaughtUp) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  round(10'000, microseconds(10));  // known at its end
  const std::size_t whole = budget.limit();
  EXPECT_EQ(round(10'000, microseconds(16)), whole / 4);
  EXPECT_EQ(budget.limit(), whole);  // what refusals cost is not taken for what verifications do
  EXPECT_EQ(round(10'000, microseconds(10)), whole);
}

TEST_F(RoundBudgetTest, ALoopThatStaysLateLearnsBitByBit) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  round(10'000, microseconds(500));
  const std::size_t before = budget.limit();
  round(10'000, microseconds(500));
  EXPECT_LT(budget.limit(), before);
  EXPECT_GT(budget.limit(), before * 8 / 10);
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(500));
  EXPECT_EQ(budget.limit(), RoundBudget::verifications_min);
}

TEST_F(RoundBudgetTest, RoundsAreHalfAsLongWhileAllOfThemRefuse) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  refuses = true;
  const std::size_t whole = budget.limit();
  for (unsigned i = 0; i < refusing_until_crowded; ++i) EXPECT_EQ(round(10'000, microseconds(4)), whole);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(round(10'000, microseconds(4)), whole / 2);
  // Some have room: still a crowd.
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(round(10'000, microseconds(4)), whole / 2);
    EXPECT_EQ(round(100, microseconds(4)), 100u);
  }
  for (unsigned i = 0; i < RoundBudget::crowd_most; ++i) round(100, microseconds(4));
  EXPECT_EQ(round(10'000, microseconds(4)), whole);
}

TEST_F(RoundBudgetTest, ACrowdedRoundIsLateInHalfTheTime) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  refuses = true;
  for (int i = 0; i < 10; ++i) round(10'000, microseconds(4));
  const std::size_t whole = budget.limit();
  EXPECT_EQ(round(10'000, microseconds(7)), whole / 2);  // 7 ms
  EXPECT_EQ(round(10'000, microseconds(4)), budget.limit() / 4);
}

TEST_F(RoundBudgetTest, CrowdedRoundsAreOverByTheClockInHalfTheTime) {
  const auto clock = [this] { return now; };
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  refuses = true;
  for (unsigned i = 0; i < refusing_until_crowded; ++i) round(10'000, microseconds(4));
  for (std::size_t i = 0; i < budget.limit() / 4; ++i) budget.take_one(clock);
  now += RoundBudget::round_max / 2 - nanoseconds(1);
  budget.look_at_clock(clock);
  EXPECT_FALSE(budget.full());
  now += nanoseconds(1);
  budget.look_at_clock(clock);
  EXPECT_TRUE(budget.full());
}

TEST_F(RoundBudgetTest, ACrowdIsForgottenWhenNobodyComesForAWhile) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  refuses = true;
  for (int i = 0; i < 10; ++i) round(10'000, microseconds(4));
  now += milliseconds(100);
  EXPECT_EQ(round(10'000, microseconds(4)), budget.limit());
}

TEST_F(RoundBudgetTest, RoundsThatNoQueueTookAreACrowdAndSayNothingAboutCosts) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  const std::size_t whole = budget.limit();
  for (unsigned i = 0; i < refusing_until_crowded; ++i) {
    for (std::size_t k = 0; k < 1000; ++k) budget.take_one([this] { return now; });
    budget.refused_taken();
    now += microseconds(100);
    budget.end(now);
  }
  EXPECT_EQ(budget.limit(), whole);
  EXPECT_EQ(round(10'000, microseconds(4)), whole / 2);
}

TEST_F(RoundBudgetTest, ALongRoundThatHadRoomIsNotLate) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  round(100, microseconds(400));
  EXPECT_EQ(round(10'000, microseconds(4)), budget.limit());
}

TEST_F(RoundBudgetTest, ARoundThatOthersHeldUpIsOverByTheClock) {
  const auto clock = [this] { return now; };
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  for (std::size_t i = 0; i < budget.limit() / 4; ++i) budget.take_one(clock);
  now += RoundBudget::round_max - nanoseconds(1);
  budget.look_at_clock(clock);
  EXPECT_FALSE(budget.full());
  now += nanoseconds(1);
  budget.look_at_clock(clock);
  EXPECT_TRUE(budget.full());
  budget.end(now);
  EXPECT_FALSE(budget.full());
}

TEST_F(RoundBudgetTest, TheClockEndsNoRoundThatHasTakenLittle) {
  const auto clock = [this] { return now; };
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  for (std::size_t i = 0; i < budget.limit() / 4 - 1; ++i) budget.take_one(clock);
  now += milliseconds(100);
  budget.look_at_clock(clock);
  EXPECT_FALSE(budget.full());
}

TEST_F(RoundBudgetTest, ARoundThatTheClockEndedSaysNothingAboutCosts) {
  const auto clock = [this] { return now; };
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  const std::size_t whole = budget.limit();
  for (std::size_t i = 0; i < whole / 4; ++i) budget.take_one(clock);
  now += milliseconds(26);
  budget.look_at_clock(clock);
  ASSERT_TRUE(budget.full());
  budget.end(now);
  EXPECT_EQ(budget.limit(), whole);
  EXPECT_EQ(round(10'000, microseconds(4)), whole);  // nobody was refused: nothing is to be caught up with
}

TEST_F(RoundBudgetTest, ARoundThatTheClockEndedAndThatRefusedIsLate) {
  const auto clock = [this] { return now; };
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  for (std::size_t i = 0; i < budget.limit() / 4; ++i) budget.take_one(clock);
  now += milliseconds(26);
  budget.look_at_clock(clock);
  budget.refused();
  budget.end(now);
  EXPECT_GT(budget.limit(), 1700u);  // of what it seemed to cost, a part is believed
  EXPECT_EQ(round(10'000, microseconds(4)), budget.limit() / 4);
}

TEST_F(RoundBudgetTest, TheClockEndsNoRoundThatHasNotBegun) {
  now += milliseconds(100);
  budget.look_at_clock([this] { return now; });
  EXPECT_FALSE(budget.full());
  budget.take_one([this] { return now; });
  EXPECT_FALSE(budget.full());
}

TEST_F(RoundBudgetTest, LooksAtTheClockOnceARound) {
  int looks = 0;
  for (int i = 0; i < 10; ++i) {
    budget.take_one([&] {
      ++looks;
      return now;
    });
  }
  EXPECT_EQ(looks, 1);
}

}  // namespace
}  // namespace watchword::api::test
