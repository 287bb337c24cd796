#include "engine/thread_rank.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

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

}  // namespace
}  // namespace watchword::engine
