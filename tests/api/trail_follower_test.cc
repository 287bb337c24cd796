#include "api/trail_follower.h"

#include <condition_variable>
#include <mutex>

#include "tests/engine/engine_fixture.h"

namespace watchword::api {
namespace {

using engine::AuditEntry;
using engine::AuditRow;

// Takes what it is given, unless told otherwise; keeps the order.
class Recorder : public TrailReceiver {
 public:
  bool wants(const AuditEntry& entry) const override { return entry.action != "verification"; }
  std::size_t batch_max() const override { return batch; }
  Delivery deliver(std::span<const AuditRow> rows, unsigned) override {
    const std::lock_guard lock(mutex_);
    ++calls_;
    changed_.notify_all();
    if (away_) return {.taken = 0, .rest = Delivery::Rest::holds};
    Delivery delivery;
    for (const AuditRow& row : rows) {
      if (row.entry.user == refused_) {
        delivery.rest = Delivery::Rest::aside;
        break;
      }
      taken_.push_back(row.entry.user + ":" + row.entry.device);
      ++delivery.taken;
    }
    changed_.notify_all();
    return delivery;
  }

  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return taken_.size() >= count; });
    return taken_;
  }
  void wait_for_calls(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return calls_ >= count; });
  }
  void set(bool away, const std::string& refused) {
    const std::lock_guard lock(mutex_);
    away_ = away;
    refused_ = refused;
  }

  std::size_t batch = 1;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> taken_;
  std::size_t calls_ = 0;
  bool away_ = false;
  std::string refused_;
};

class Follower : public engine::test::EngineTest {
 protected:
  void happen(const std::string& user, const std::string& device, const std::string& action = "device.confirm") {
    engine::Change change;
    change.audit.push_back(
        {.at = start, .origin = engine::test::tester, .action = action, .user = user, .device = device, .detail = {}});
    ASSERT_EQ(engine.committer.commit(change), engine::Outcome::durable);
  }
  std::unique_ptr<TrailFollower> follow(Recorder& recorder) {
    auto follower = std::make_unique<TrailFollower>(store, engine.committer, "test", recorder);
    follower->start();
    return follower;
  }
  using Texts = std::vector<std::string>;
};

TEST_F(Follower, TellsWhatHappensFromItsBeginOnInOrder) {
  happen("ada", "0");
  Recorder recorder;
  const auto follower = follow(recorder);
  happen("ada", "1");
  happen("bob", "2", "verification");
  happen("ada", "3");
  EXPECT_EQ(recorder.wait_for(2), (Texts{"ada:1", "ada:3"}));
  follower->stop();
  EXPECT_EQ(follower->taken(), 2u);
}

TEST_F(Follower, GoesOnWhereItStoppedAndTellsWhatCameMeanwhile) {
  Recorder recorder;
  recorder.batch = 8;
  follow(recorder)->stop();
  for (int i = 0; i < 600; ++i) happen("ada", std::to_string(i));
  auto follower = follow(recorder);
  EXPECT_EQ(recorder.wait_for(600).size(), 600u);
  follower->stop();
  EXPECT_EQ(follower->backlog(), 0u);
  happen("bob", "x");
  EXPECT_EQ(follower->backlog(), 1u);
  follower = follow(recorder);
  const Texts all = recorder.wait_for(601);
  ASSERT_EQ(all.size(), 601u);
  for (int i = 0; i < 600; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], "ada:" + std::to_string(i));
  EXPECT_EQ(all.back(), "bob:x");
}

TEST_F(Follower, HoldsEverythingWhileNobodyIsThere) {
  Recorder recorder;
  recorder.set(true, "");
  const auto follower = follow(recorder);
  happen("ada", "1");
  happen("bob", "2");
  recorder.wait_for_calls(2);
  EXPECT_EQ(follower->backlog(), 2u);
  EXPECT_GE(follower->failures(), 1u);
  recorder.set(false, "");
  EXPECT_EQ(recorder.wait_for(2), (Texts{"ada:1", "bob:2"}));
}

TEST_F(Follower, KeepsTheOrderOfAUserWhoseEntryIsRefusedAndHoldsUpNobodyElse) {
  Recorder recorder;
  recorder.set(false, "ada");
  auto follower = follow(recorder);
  happen("ada", "1");
  happen("bob", "2");
  happen("ada", "3");
  happen("eve", "4");
  EXPECT_EQ(recorder.wait_for(2), (Texts{"bob:2", "eve:4"}));
  // Also over a restart.
  follower->stop();
  EXPECT_EQ(follower->backlog(), 2u);
  follower = follow(recorder);
  happen("ada", "5");
  happen("bob", "6");
  EXPECT_EQ(recorder.wait_for(3), (Texts{"bob:2", "eve:4", "bob:6"}));
  recorder.set(false, "");
  EXPECT_EQ(recorder.wait_for(6), (Texts{"bob:2", "eve:4", "bob:6", "ada:1", "ada:3", "ada:5"}));
}

TEST_F(Follower, HoldsWhenTooManyStandAside) {
  Recorder recorder;
  recorder.set(false, "ada");
  const auto follower = follow(recorder);
  for (std::size_t i = 0; i < TrailFollower::aside_max; ++i) happen("ada", std::to_string(i));
  happen("ada", "last");
  happen("bob", "2");
  recorder.wait_for_calls(2);
  EXPECT_GE(follower->backlog(), TrailFollower::aside_max);
  recorder.set(false, "");
  const Texts all = recorder.wait_for(TrailFollower::aside_max + 2);
  ASSERT_EQ(all.size(), TrailFollower::aside_max + 2);
  EXPECT_EQ(all.front(), "ada:0");
  EXPECT_EQ(all.back(), "bob:2");
}

TEST(RetryDelay, DoublesWithAShareByLot) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_GE(retry_delay(1).count(), 500);
    EXPECT_LE(retry_delay(1).count(), 1000);
    EXPECT_GE(retry_delay(4).count(), 4000);
    EXPECT_LE(retry_delay(4).count(), 8000);
    EXPECT_LE(retry_delay(100).count(), 300'000);
    EXPECT_GE(retry_delay(100).count(), 150'000);
  }
}

}  // namespace
}  // namespace watchword::api
