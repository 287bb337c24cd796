#include "api/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>

namespace watchword::api {
namespace {

class Call final : public WorkerPool::Job {
 public:
  explicit Call(std::function<void()> call) : call_(std::move(call)) {}
  void run(std::unique_ptr<Job>) noexcept override { call_(); }

 private:
  std::function<void()> call_;
};

bool submit(WorkerPool& pool, std::function<void()> call) {
  std::unique_ptr<WorkerPool::Job> job = std::make_unique<Call>(std::move(call));
  const bool taken = pool.submit(job);
  EXPECT_EQ(job == nullptr, taken);
  return taken;
}

TEST(WorkerPool, RunsEveryJobOnce) {
  std::atomic<int> runs = 0;
  WorkerPool pool(4, 1000);
  pool.start();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(submit(pool, [&] { ++runs; }));
  pool.stop();
  EXPECT_EQ(runs, 1000);
}

TEST(WorkerPool, RefusesWhatDoesNotFitItsQueue) {
  std::latch begun(1), go_on(1);
  WorkerPool pool(1, 2);
  pool.start();
  ASSERT_TRUE(submit(pool, [&] {
    begun.count_down();
    go_on.wait();
  }));
  begun.wait();
  EXPECT_TRUE(submit(pool, [] {}));
  EXPECT_TRUE(submit(pool, [] {}));
  EXPECT_FALSE(submit(pool, [] {}));
  go_on.count_down();
}

TEST(WorkerPool, TakesNothingAfterItStopped) {
  WorkerPool pool(1, 2);
  pool.start();
  pool.stop();
  EXPECT_FALSE(submit(pool, [] {}));
}

}  // namespace
}  // namespace watchword::api
