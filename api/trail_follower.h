// Carries the audit trail on to a receiver outside, in its order. The trail itself is the outbox: an entry is in it durably
// with its cause, and the follower keeps the number of the last entry that it is done with. So nothing is lost over kill -9,
// and what was taken but not yet noted is taken again (at least once, told apart by its number and time). The cause never
// waits.
//
// Order is kept for each user. A receiver that is not there holds everything. One that answers, but refuses a certain entry,
// gets that entry again later, and the later ones about the same user after it; what is about others goes on. Entries put
// aside so are bounded in number; beyond, they hold everything too.
//
// A new follower begins at the end of the trail. Entries that the trail's retention removed before they were taken are gone,
// and counted: that is the outbox's bound.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "api/trail_receiver.h"
#include "engine/committer.h"
#include "engine/store.h"

namespace watchword::api {

class TrailFollower {
 public:
  static constexpr std::size_t aside_max = 1000;

  // `name`: of the place in the store ("trail-place/" name). The receiver lives longer. start() begins.
  TrailFollower(engine::Store& store, engine::Committer& committer, std::string name, TrailReceiver& receiver);
  ~TrailFollower();  // stop()
  TrailFollower(const TrailFollower&) = delete;
  TrailFollower& operator=(const TrailFollower&) = delete;

  // Finds its place, then follows on a thread of its own. What the trail gets from now on is not missed. Throws StoreError.
  void start();
  // Cancels the receiver and ends. Before the committer stops.
  void stop();

  // Any thread, for metrics.
  std::uint64_t backlog() const noexcept;  // entries of the trail that are still to be looked at or delivered
  std::uint64_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }
  std::uint64_t failures() const noexcept { return failures_.load(std::memory_order_relaxed); }  // attempts in vain
  std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }          // removed by retention

 private:
  using Clock = std::chrono::steady_clock;
  struct Aside {
    engine::AuditRow row;
    unsigned attempts;
    Clock::time_point due;
  };

  void run();
  bool follow();
  bool hand_over(std::span<const engine::AuditRow> rows);
  bool put_aside(const engine::AuditRow& row, unsigned attempts);
  bool held_back(const engine::AuditEntry& entry) const { return users_aside_.contains(entry.user); }
  void retry_aside();
  void resume();
  void note(bool now);
  std::string place_text() const;
  bool stopping();
  bool sleep(std::chrono::milliseconds duration);

  engine::Store& store_;
  engine::Committer& committer_;
  const std::string document_;
  TrailReceiver& receiver_;
  // Written by the follower's thread, read by any for metrics; relaxed, they only count.
  std::atomic<std::uint64_t> place_{0};
  std::atomic<std::uint64_t> aside_count_{0};
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> lost_{0};
  // The follower's thread alone.
  std::deque<Aside> aside_;                                   // in the order of the trail
  std::unordered_map<std::string, std::size_t> users_aside_;  // and how many entries of each
  std::string noted_;
  Clock::time_point noted_at_{};

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // under mutex_
  std::thread thread_;
};

// How long to wait after attempt `attempt`: doubles from one second to five minutes, and half of it is drawn by lot, so that
// those who failed together do not come back together.
std::chrono::milliseconds retry_delay(unsigned attempt);

}  // namespace watchword::api
