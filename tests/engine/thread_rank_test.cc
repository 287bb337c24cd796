#include "engine/thread_rank.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace watchword::engine {
namespace {

int niceness_after(void (*rank)() noexcept) {
  int niceness = 0;
  std::thread([&] {
    rank();
    niceness = getpriority(PRIO_PROCESS, 0);
  }).join();
  return niceness;
}

TEST(ThreadRank, EachStandsBackAloneByItsRankAndAPromptOneStaysWhatItWas) {
  const int before = getpriority(PRIO_PROCESS, 0);
  EXPECT_EQ(niceness_after(rank_as_prompt), before);
  const int background = niceness_after(rank_as_background);
  EXPECT_GT(background, before == 19 ? 18 : before);
  EXPECT_GT(niceness_after(rank_as_patient), background == 19 ? 18 : background);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before) << "the others stay as they are";
  EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

// Context switches that the thread asked for itself: its sleeps.
long sleeps_of_three_calls(void (*rank)() noexcept) {
  long sleeps = 0;
  std::thread([&] {
    rank();
    rusage before{}, after{};
    getrusage(RUSAGE_THREAD, &before);
    give_way();  // long since it slept last
    give_way();  // just now
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
    while (std::chrono::steady_clock::now() < end) {
    }
    give_way();
    getrusage(RUSAGE_THREAD, &after);
    sleeps = after.ru_nvcsw - before.ru_nvcsw;
  }).join();
  return sleeps;
}

// The most of some tries: on a machine whose host took the core for a moment, the sleep's 20 us are over before the thread
// is off its core, and no switch is counted.
long most_sleeps_of_three_calls(void (*rank)() noexcept) {
  long most = 0;
  for (int tries = 0; tries < 10 && most < 2; ++tries) most = std::max(most, sleeps_of_three_calls(rank));
  return most;
}

TEST(ThreadRank, WhoStandsBackSleepsAfterSomeWorkAndNobodyElseDoes) {
  EXPECT_EQ(sleeps_of_three_calls([]() noexcept {}), 0);
  EXPECT_EQ(sleeps_of_three_calls(rank_as_prompt), 0);
  EXPECT_GE(most_sleeps_of_three_calls(rank_as_pausing), 2);
  EXPECT_GE(most_sleeps_of_three_calls(rank_as_patient), 2);
}

}  // namespace
}  // namespace watchword::engine
