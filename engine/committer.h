// Group commit. Threads that decide push cells into a ring of their own; one committer thread drains whatever is there,
// hands it to the store as one batch with one sync, and gives the tickets back. Batches form by themselves while the disk is
// busy.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "engine/audit_ring.h"
#include "engine/store.h"

namespace watchword::engine {

// What somebody waits for. Owned by the caller, alive until its sink has it back; `next` links it meanwhile.
struct Ticket {
  Ticket* next = nullptr;
  Outcome outcome = Outcome::failed;
};

// Where tickets come back to, normally an event loop. Called on the committer thread, once a batch, with a list linked
// through `next`; must not block and must not throw.
class TicketSink {
 public:
  virtual ~TicketSink() = default;
  virtual void deliver(Ticket* first) noexcept = 0;
};

// Ring of one producing thread (single producer, the committer is the consumer). Made by Committer::add_producer.
class Producer {
 public:
  static constexpr std::size_t capacity = 1 << 14;  // cells; about 0.6 MB. Full means overload: the caller answers 503
  explicit Producer(TicketSink* sink) : sink_(sink), entries_(capacity) {}

  // Whether `count` more cells fit. Only this producer's pushes can make it false again.
  bool has_room(std::size_t count) noexcept;
  // Queues a cell; not seen by the committer before publish(). has_room() must have said yes.
  void push(const CellWrite& write, Ticket* ticket) noexcept;
  // Entries of the audit trail first: a cell that the committer sees has its entry in the same group.
  void publish() noexcept {
    notes_.publish();
    tail_.store(pending_tail_.load(std::memory_order_relaxed), std::memory_order_release);
  }
  bool has_unpublished() const noexcept {
    return pending_tail_.load(std::memory_order_relaxed) != tail_.load(std::memory_order_relaxed) ||
           notes_.has_unpublished();
  }
  // Whether a ticket was pushed since this was asked last: somebody waits.
  bool take_urgent() noexcept { return std::exchange(urgent_, false); }
  // What the trail says about the cells; push an entry before its cell is published.
  AuditRing& notes() noexcept { return notes_; }

 private:
  friend class Committer;
  struct Entry {
    CellWrite write;
    Ticket* ticket;
  };
  TicketSink* sink_;
  std::vector<Entry> entries_;
  AuditRing notes_;
  // Producer's side: only the producer writes these.
  alignas(64) std::atomic<std::uint64_t> pending_tail_{0};
  std::uint64_t head_seen_ = 0;
  bool urgent_ = false;
  std::atomic<std::uint64_t> tail_{0};
  // Consumer's side.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::atomic<std::uint64_t> durable_{0};  // everything before this is on disk
};

// What one group commit was like.
struct GroupReport {
  std::size_t cells = 0;
  std::size_t changes = 0;
  std::chrono::nanoseconds spent{0};  // inside Store::advance
  bool durable = false;
};

// Hears of each group on the committer's thread, before its tickets go back; must not block and must not throw.
class GroupWatcher {
 public:
  virtual void committed(const GroupReport& group) noexcept = 0;

 protected:
  ~GroupWatcher() = default;
};

struct CommitCounters {
  // Times that the rings were looked through: stands still only while advance() hangs, or asleep until the next kick().
  std::atomic<std::uint64_t> rounds{0};
  std::atomic<std::uint64_t> groups{0};
  std::atomic<std::uint64_t> cells{0};
  std::atomic<std::uint64_t> changes{0};
  std::atomic<std::uint64_t> failed_groups{0};
  std::atomic<std::uint64_t> notes_lost{0};  // entries of the audit trail in groups that failed
  std::atomic<std::uint64_t> busy_ns{0};     // time inside Store::advance
};

class Committer {
 public:
  explicit Committer(Store& store);
  ~Committer();  // stop()
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Before the producing thread starts. The producer lives as long as the committer. `sink` may be null for threads whose
  // cells carry no tickets.
  Producer& add_producer(TicketSink* sink);

  // Wakes the committer if it sleeps; a system call only then. Call once after a batch of verifications. `urgent`: somebody
  // waits for what was published. The rest may lie for `linger` in company of more, since every group costs a sync.
  void kick(bool urgent = true) noexcept;
  static constexpr std::chrono::milliseconds linger{10};

  // Blocks until the change is durable or failed; any thread but an event loop's.
  Outcome commit(const Change& change);

  // Blocks until every cell that was pushed before the call is on disk. False: the store takes no writes, stop() was
  // called, or a producer does not publish. Any thread but a producer's.
  bool settle();

  // Drains everything that was pushed, then ends the thread. Nothing may be pushed afterwards.
  void stop();

  const CommitCounters& counters() const { return counters_; }
  // Lives until the committer is stopped. Any thread; groups from now on.
  void watch(GroupWatcher* watcher) { watcher_.store(watcher, std::memory_order_release); }
  // Cells that wait in the rings, more or less. Any thread.
  std::size_t waiting();

 private:
  struct Waiting;
  static constexpr std::size_t cells_per_group_max = 1 << 15;
  enum class Rest : std::uint8_t { none, lingering, asleep };
  void run();
  void wait_for_company();
  bool queued();
  void end_rest();
  void await_wake();
  std::size_t drain();
  void commit_group();
  void keep_unsaved();

  Store& store_;
  std::mutex producers_mutex_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::mutex changes_mutex_;
  std::condition_variable changes_done_;
  std::vector<Waiting*> changes_;
  std::atomic<Rest> rest_{Rest::none};
  std::mutex woken_mutex_;
  std::condition_variable woken_changed_;
  bool woken_ = false;  // under woken_mutex_: whoever ended the rest says so here, once
  std::atomic<bool> urgent_{false};
  std::atomic<bool> stopping_{false};
  CommitCounters counters_;
  std::atomic<GroupWatcher*> watcher_{nullptr};
  // Scratch of the committer thread.
  std::vector<CellWrite> group_cells_;
  std::vector<CellWrite> unsaved_;  // of groups that failed: memory has these values, so they go with the next group
  std::size_t group_unsaved_ = 0;   // how many of them the group begins with
  std::vector<std::pair<Ticket*, TicketSink*>> group_tickets_;
  std::vector<std::size_t> ticket_cells_;
  std::vector<Waiting*> group_changes_;
  std::vector<const Change*> group_change_pointers_;  // of the changes, then of the notes where there are any
  Change group_notes_;
  std::vector<Outcome> cell_outcomes_, change_outcomes_;
  std::thread thread_;
};

}  // namespace watchword::engine
