#include "engine/words.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/store.h"

namespace watchword::engine {
namespace {

UnixMillis at_s(double seconds) {
  return {static_cast<std::int64_t>(seconds * 1000)};
}

TEST(ReplayWord, KeepsEveryStepAndDriftThatItIsGiven) {
  for (const std::int64_t step :
       {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, (std::int64_t{1} << 32) + 5, (std::int64_t{1} << 40) - 2}) {
    for (int drift = -drift_sixteenths_max; drift <= drift_sixteenths_max; ++drift) {
      const ReplayWord word = ReplayWord::make(step, drift);
      ASSERT_EQ(word.last_step(), step);
      ASSERT_EQ(word.drift_sixteenths(), drift);
      ASSERT_FALSE(word.frozen());
    }
  }
}

// The middle of a step, or some sixteenth of it.
StepTime in_step(std::int64_t step, int sixteenth = 8) {
  return {step * 16 + sixteenth};
}

TEST(ReplayWord, AcceptsAStepOnceAndNoneBeforeIt) {
  const ReplayWord word = *accept_step(ReplayWord{}, 100, in_step(100), 10);
  EXPECT_EQ(word.last_step(), 100);
  EXPECT_FALSE(accept_step(word, 100, in_step(100), 10));
  EXPECT_FALSE(accept_step(word, 99, in_step(100), 10));
  EXPECT_TRUE(accept_step(word, 101, in_step(100), 10));
}

TEST(ReplayWord, LearnsASteadyOffset) {
  ReplayWord word;
  std::int64_t now = 200;
  for (int i = 0; i < 5; ++i, now += 10) word = *accept_step(word, now - 1, in_step(now), 10);
  EXPECT_EQ(word.drift_steps(), -1);
  for (int i = 0; i < 5; ++i, now += 10) word = *accept_step(word, now, in_step(now), 10);
  EXPECT_EQ(word.drift_steps(), 0);
}

TEST(ReplayWord, OneCodeThatWasTypedLateCostsTheNextOneNothing) {
  for (int late_at = 0; late_at < 16; ++late_at) {
    const ReplayWord word = *accept_step(ReplayWord{}, 99, in_step(100, late_at), 10);
    for (int next_at = 0; next_at < 16; ++next_at) {
      EXPECT_LE(std::abs(expected_step(word, in_step(110, next_at)) - 110), 1) << late_at << " " << next_at;
    }
  }
}

TEST(ReplayWord, DriftNeverPassesTheLimit) {
  for (int limit : {0, 1, 3, 10, 100}) {
    ReplayWord word;
    std::int64_t now = 1000;
    for (int i = 0; i < 500; ++i, now += 300) {
      word = *accept_step(word, expected_step(word, in_step(now)) + 1, in_step(now), limit);
      ASSERT_LE(word.drift_steps(), limit);
    }
    EXPECT_EQ(word.drift_steps(), limit);
  }
}

// Whatever the moment of the step at which people sign in, day after day.
TEST(ReplayWord, DriftFollowsAClockThatGoesWrongByTwoSecondsADay) {
  for (const int direction : {1, -1}) {
    for (unsigned seed = 0; seed < 300; ++seed) {
      std::minstd_rand chance(seed + 1);
      ReplayWord word;
      for (int day = 0; day <= 149; ++day) {
        const std::int64_t now_ms = 1'700'000'000'000 + day * 86'400'000ll + chance() % 30'000;
        const std::int64_t phone_ms = now_ms + direction * day * 2'000;
        const StepTime now = step_time_at({now_ms}, 30);
        const std::int64_t shown = phone_ms / 30'000;
        ASSERT_LE(std::abs(shown - expected_step(word, now)), 1) << "day " << day << ", seed " << seed;
        word = *accept_step(word, shown, now, 10);
      }
    }
  }
}

TEST(ReplayWord, ResyncObeysTheLastStepAndTheLimit) {
  const ReplayWord word = ReplayWord::make(100, 0);
  EXPECT_FALSE(resync(word, 100, in_step(100), 10));
  EXPECT_FALSE(resync(word, 101, in_step(100), 10));  // its first code is the used one
  for (int sixteenth = 0; sixteenth < 16; ++sixteenth) {
    const auto fresh = resync(word, 102, in_step(100, sixteenth), 10);
    ASSERT_TRUE(fresh);
    EXPECT_EQ(fresh->last_step(), 102);
    EXPECT_EQ(fresh->drift_steps(), 2);
    EXPECT_EQ(expected_step(*fresh, in_step(200, sixteenth)), 202);
  }
  EXPECT_FALSE(resync(word, 111, in_step(100), 10));
}

TEST(StepTime, CountsSixteenthsOfAStep) {
  EXPECT_EQ(step_time_at({0}, 30).sixteenths, 0);
  EXPECT_EQ(step_time_at({29'999}, 30).sixteenths, 15);
  EXPECT_EQ(step_time_at({30'000}, 30).sixteenths, 16);
  EXPECT_EQ(step_time_at({1'800'000'015'000}, 30).sixteenths, 60'000'000 * 16 + 8);
  EXPECT_EQ(step_time_at({1'800'000'015'000}, 30).step(), 60'000'000);
  EXPECT_EQ(step_time_at({-5}, 30).step(), 0);
}

TEST(ThrottleWord, ZeroIsNoValueAndNoTransitionMakesIt) {
  const ThrottleWord high = ThrottleWord::make(7, 0, 0xfffff);
  EXPECT_EQ(newer(high, ThrottleWord{}).bits, high.bits);
  EXPECT_EQ(newer(ThrottleWord{}, high).bits, high.bits);
  EXPECT_NE(clear(high).bits, 0u);
  EXPECT_EQ(newer(high, clear(high)).bits, clear(high).bits);
}

TEST(ThrottleWord, KeepsEveryPart) {
  const ThrottleWord word = ThrottleWord::make(99, 17'000'000'000, 0xabcde);
  EXPECT_EQ(word.failures(), 99u);
  EXPECT_EQ(word.locked_until_ds(), 17'000'000'000);
  EXPECT_EQ(word.version(), 0xabcdeu);
  EXPECT_FALSE(word.frozen());
}

TEST(ThrottleWord, LocksAtTheTenthFailureAndDoublesTheDelayUpToHalfAnHour) {
  const Lockout policy;
  ThrottleWord word;
  UnixMillis now = at_s(1'700'000'000);
  for (int i = 0; i < 9; ++i) {
    word = *charge(word, now, policy);
    ASSERT_FALSE(locked(word, now, policy));
  }
  std::uint32_t expected_s = 1;
  for (unsigned failures = 10; failures < 100; ++failures) {
    word = *charge(word, now, policy);
    const auto lock = locked(word, now, policy);
    ASSERT_TRUE(lock);
    ASSERT_FALSE(lock->hard);
    ASSERT_GE(lock->retry_after_s, expected_s);
    ASSERT_LE(lock->retry_after_s, expected_s + 1);
    ASSERT_FALSE(charge(word, now, policy));
    now.value += (expected_s + 1) * 1000;
    ASSERT_FALSE(locked(word, now, policy));
    expected_s = std::min(1800u, expected_s * 2);
  }
  word = *charge(word, now, policy);
  now.value += std::int64_t{100} * 365 * 86'400 * 1000;
  ASSERT_TRUE(locked(word, now, policy));
  EXPECT_TRUE(locked(word, now, policy)->hard);
  EXPECT_FALSE(charge(word, now, policy));
  EXPECT_FALSE(locked(clear(word), now, policy));
}

TEST(ThrottleWord, RefundLiftsOnlyTheLockOfItsOwnCharge) {
  const Lockout policy;
  const UnixMillis now = at_s(1'700'000'000);
  ThrottleWord nine;
  for (int i = 0; i < 9; ++i) nine = *charge(nine, now, policy);
  const ThrottleWord ten = *charge(nine, now, policy);
  EXPECT_TRUE(locked(ten, now, policy));
  const ThrottleWord back = refund(ten, ten);
  EXPECT_EQ(back.failures(), 9u);
  EXPECT_FALSE(locked(back, now, policy));
  // Another attempt locked meanwhile.
  const ThrottleWord other = ThrottleWord::make(11, ten.locked_until_ds() + 20, ten.version() + 1);
  EXPECT_TRUE(locked(refund(other, ten), now, policy));
}

TEST(ThrottleWord, OfTwoValuesTheLaterVersionWinsAlsoOverTheWrap) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const auto version = static_cast<std::uint32_t>(random() & 0xfffff);
    const auto ahead = static_cast<std::uint32_t>(1 + random() % 0x7fffe);
    const ThrottleWord older = ThrottleWord::make(3, 0, version), later = ThrottleWord::make(0, 0, version + ahead);
    ASSERT_EQ(newer(older, later), later);
    ASSERT_EQ(newer(later, older), later);
  }
}

TEST(Cells, TheNewerOfTwoKeepsItsReceipt) {
  const CellValue older{ReplayWord::make(5, 0).bits, 42}, later{ReplayWord::make(6, 0).bits, 44};
  EXPECT_EQ(newer(1, older, later), later);
  EXPECT_EQ(newer(1, later, older), later);
  EXPECT_EQ(newer(1, CellValue{}, older), older);
}

}  // namespace
}  // namespace watchword::engine
