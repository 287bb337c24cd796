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
      if (budget.take(1, [this] { return now; })) ++taken;
    }
    now += cost * taken;
    budget.end(now);
    return taken;
  }
  RoundBudget budget;
  nanoseconds now{milliseconds(5000)};
};

TEST_F(RoundBudgetTest, TakesAllOfSmallRounds) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(round(64, microseconds(12)), 64u);
}

TEST_F(RoundBudgetTest, EndsARoundWhereItsTimeIsFull) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(5));
  const std::size_t taken = round(10'000, microseconds(5));
  EXPECT_NEAR(static_cast<double>(taken * 5), 12'000, 200);
}

TEST_F(RoundBudgetTest, LearnsWhatAVerificationCosts) {
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(40));
  EXPECT_NEAR(static_cast<double>(budget.limit()), 300, 5);
  for (int i = 0; i < 100; ++i) round(10'000, microseconds(4));
  EXPECT_NEAR(static_cast<double>(budget.limit()), 3000, 50);
}

TEST_F(RoundBudgetTest, AHeldUpRoundDoesNotCloseTheDoor) {
  for (int i = 0; i < 100; ++i) round(1000, milliseconds(3));
  EXPECT_EQ(budget.limit(), RoundBudget::verifications_min);
  for (int i = 0; i < 100; ++i) round(1000, microseconds(6));
  EXPECT_GT(budget.limit(), 1800u);
}

TEST_F(RoundBudgetTest, TakesOneRequestHoweverLargeIntoAnEmptyRound) {
  EXPECT_TRUE(budget.take(100'000, [this] { return now; }));
  EXPECT_FALSE(budget.take(1, [this] { return now; }));
  budget.end(now + milliseconds(100));
  EXPECT_TRUE(budget.take(1, [this] { return now; }));
}

TEST_F(RoundBudgetTest, LooksAtTheClockOnceARound) {
  int looks = 0;
  for (int i = 0; i < 10; ++i) {
    budget.take(1, [&] {
      ++looks;
      return now;
    });
  }
  EXPECT_EQ(looks, 1);
}

}  // namespace
}  // namespace watchword::api::test
