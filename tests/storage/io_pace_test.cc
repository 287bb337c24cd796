#include "storage/rocksdb/io_pace.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace watchword::storage {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto low = rocksdb::Env::IO_LOW;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

TEST(IoPace, TwoThreadsTogetherAreNotFasterThanItsRate) {
  IoPace pace(1'000'000);
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int piece = 0; piece < 10; ++piece) pace.Request(10'000, low, nullptr);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(seconds_since(begin), 0.19) << "the first piece does not wait, and the last one's time is not waited for";
  EXPECT_EQ(pace.GetTotalBytesThrough(low), 200'000);
  EXPECT_EQ(pace.GetTotalRequests(low), 20);
}

TEST(IoPace, WhoWaitsGoesOnWhenItBecomesFaster) {
  IoPace pace(1'000);
  pace.Request(60'000, low, nullptr);
  const auto begin = Clock::now();
  std::thread waiting([&] { pace.Request(60'000, low, nullptr); });  // due in a minute
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  pace.SetBytesPerSecond(1'000'000'000);
  waiting.join();
  pace.Request(60'000, low, nullptr);
  EXPECT_LT(seconds_since(begin), 10) << "neither it nor who comes later waits for what the old rate owed";
}

}  // namespace
}  // namespace watchword::storage
