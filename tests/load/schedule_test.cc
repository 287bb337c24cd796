#include "bench/load/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "bench/load/mix.h"

namespace watchword::load {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

std::vector<std::int64_t> all_of(Schedule schedule) {
  std::vector<std::int64_t> due;
  for (; schedule.due(); schedule.advance()) due.push_back(*schedule.due());
  return due;
}

std::vector<std::int64_t> of_threads(Rate rate, std::int64_t duration_ns, Arrivals arrivals, unsigned threads) {
  std::vector<std::int64_t> due;
  for (unsigned thread = 0; thread < threads; ++thread) {
    const auto own = all_of(Schedule(rate, duration_ns, arrivals, thread, threads));
    due.insert(due.end(), own.begin(), own.end());
  }
  std::sort(due.begin(), due.end());
  return due;
}

TEST(Schedule, AFixedRateIsEvenAcrossThreads) {
  const auto due = of_threads({1000, 1000}, 2 * second_ns, Arrivals::even, 3);
  ASSERT_EQ(due.size(), 2000u);
  for (std::size_t i = 0; i < due.size(); ++i) EXPECT_NEAR(static_cast<double>(due[i]), static_cast<double>(i) * 1e6, 2);
}

TEST(Schedule, ARampReachesItsEndRateAndItsArea) {
  const auto due = of_threads({100, 900}, 10 * second_ns, Arrivals::even, 2);
  EXPECT_NEAR(static_cast<double>(due.size()), 5000, 2);
  const auto in_second = [&](std::int64_t second) {
    return std::count_if(due.begin(), due.end(), [&](std::int64_t at) { return at / second_ns == second; });
  };
  EXPECT_NEAR(static_cast<double>(in_second(0)), 140, 2);
  EXPECT_NEAR(static_cast<double>(in_second(9)), 860, 2);
  EXPECT_NEAR(static_cast<double>(of_threads({900, 100}, 10 * second_ns, Arrivals::even, 2).size()), 5000, 2);
}

TEST(Schedule, RandomArrivalsKeepTheRate) {
  const auto due = of_threads({2000, 2000}, 10 * second_ns, Arrivals::poisson, 4);
  EXPECT_NEAR(static_cast<double>(due.size()), 20000, 800);
  EXPECT_TRUE(std::adjacent_find(due.begin(), due.end(), [](auto a, auto b) { return b - a > 2'000'000; }) != due.end());
}

TEST(Rate, IsOneNumberOrTwo) {
  EXPECT_EQ(Rate::parse("20000")->end, 20000);
  EXPECT_EQ(Rate::parse("10:20.5")->end, 20.5);
  for (const char* const bad : {"", "0", "-1", "1:", ":1", "1:0", "x", "1e99", "nan"}) EXPECT_FALSE(Rate::parse(bad)) << bad;
}

TEST(Mix, GivesEachKindItsShareWithoutBursts) {
  const auto mix = Mix::parse("accept=80,wrong=15,replay=5");
  ASSERT_TRUE(mix);
  EXPECT_EQ(std::count(mix->order().begin(), mix->order().end(), Kind::replay), 50);
  EXPECT_EQ(std::count(mix->order().begin(), mix->order().end(), Kind::wrong), 150);
  for (std::size_t i = 1; i < mix->order().size(); ++i)
    EXPECT_FALSE(mix->order()[i] == Kind::wrong && mix->order()[i - 1] == Kind::wrong);
}

TEST(Mix, RefusesWhatItDoesNotKnow) {
  for (const char* const bad :
       {"", "accept,accept", "confirm", "prime", "accept=0", "accept=x", "accept=-1", "nothing", "accept,"}) {
    EXPECT_FALSE(Mix::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace watchword::load
