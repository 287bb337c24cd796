#include "engine/committer.h"

#include <gtest/gtest.h>

#include <thread>

#include "engine/words.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

TEST(Committer, MakesEverythingThatWasPushedDurableBeforeItEnds) {
  MemoryStore store;
  constexpr int threads = 4, cells = 5000;
  {
    engine::Committer committer(store);
    std::vector<std::thread> running;
    for (std::uint64_t t = 0; t < threads; ++t) {
      Producer& producer = committer.add_producer(nullptr);
      running.emplace_back([&, t] {
        for (int i = 1; i <= cells; ++i) {
          while (!producer.has_room(1)) std::this_thread::yield();
          producer.push({{{t + 1}, 1}, {ReplayWord::make(i, 0).bits, 0}}, nullptr);
          producer.publish();
          committer.kick();
        }
      });
    }
    for (auto& thread : running) thread.join();
  }
  for (std::uint64_t t = 0; t < threads; ++t) EXPECT_EQ(ReplayWord{store.cell({t + 1}, 1).word}.last_step(), cells);
}

TEST(Committer, SaysWhenItsRingIsFull) {
  MemoryStore store;
  engine::Committer committer(store);
  Producer& producer = committer.add_producer(nullptr);
  std::size_t pushed = 0;
  while (producer.has_room(1)) {
    producer.push({{{1}, 1}, {}}, nullptr);
    ++pushed;
  }
  EXPECT_EQ(pushed, Producer::capacity);
  producer.publish();
  committer.kick();
  while (!producer.has_room(1)) std::this_thread::yield();
}

TEST(Committer, CommitsChangesOfManyThreads) {
  MemoryStore store;
  engine::Committer committer(store);
  std::vector<std::thread> running;
  std::atomic<int> durable = 0;
  for (int t = 0; t < 8; ++t) {
    running.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        Change change;
        change.put_documents.emplace_back(std::to_string(t) + "/" + std::to_string(i), "text");
        durable += committer.commit(change) == Outcome::durable;
      }
    });
  }
  for (auto& thread : running) thread.join();
  EXPECT_EQ(durable, 400);
  EXPECT_EQ(store.documents("").size(), 400u);
  committer.stop();
  EXPECT_EQ(committer.commit({}), Outcome::failed);
}

TEST(Committer, SettlesWhenEverythingIsOnDisk) {
  MemoryStore store;
  engine::Committer committer(store);
  Producer& producer = committer.add_producer(nullptr);
  EXPECT_TRUE(committer.settle());
  EXPECT_EQ(store.groups, 0) << "nothing was pushed, so nothing is written";
  producer.push({{{1}, 1}, {ReplayWord::make(7, 0).bits, 0}}, nullptr);
  EXPECT_FALSE(committer.settle()) << "pushed, but nobody publishes";
  producer.publish();
  EXPECT_TRUE(committer.settle());
  EXPECT_EQ(ReplayWord{store.cell({1}, 1).word}.last_step(), 7);
  committer.stop();
  producer.push({{{1}, 1}, {ReplayWord::make(8, 0).bits, 0}}, nullptr);
  EXPECT_FALSE(committer.settle());
}

TEST(Committer, WritesWithTheNextGroupWhatAFailedOneLost) {
  MemoryStore store;
  engine::Committer committer(store);
  Producer& producer = committer.add_producer(nullptr);
  store.next_outcome = Outcome::failed;
  producer.push({{{1}, 1}, {ReplayWord::make(7, 0).bits, 0}}, nullptr);
  producer.publish();
  EXPECT_FALSE(committer.settle());
  EXPECT_EQ(store.cell({1}, 1), CellValue{});
  store.next_outcome = Outcome::durable;
  EXPECT_TRUE(committer.settle());
  EXPECT_EQ(ReplayWord{store.cell({1}, 1).word}.last_step(), 7);
}

}  // namespace
}  // namespace watchword::engine::test
