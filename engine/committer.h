// Group commit. Threads that decide push cells into a ring of their own; one committer thread drains whatever is there,
// hands it to the store as one batch with one sync, and gives the tickets back. Batches form by themselves while the disk is
// busy.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

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
  void publish() noexcept { tail_.store(pending_tail_.load(std::memory_order_relaxed), std::memory_order_release); }

 private:
  friend class Committer;
  struct Entry {
    CellWrite write;
    Ticket* ticket;
  };
  TicketSink* sink_;
  std::vector<Entry> entries_;
  // Producer's side: only the producer writes these.
  alignas(64) std::atomic<std::uint64_t> pending_tail_{0};
  std::uint64_t head_seen_ = 0;
  std::atomic<std::uint64_t> tail_{0};
  // Consumer's side.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::atomic<std::uint64_t> durable_{0};  // everything before this is on disk
};

struct CommitCounters {
  std::atomic<std::uint64_t> groups{0};
  std::atomic<std::uint64_t> cells{0};
  std::atomic<std::uint64_t> changes{0};
  std::atomic<std::uint64_t> failed_groups{0};
  std::atomic<std::uint64_t> busy_ns{0};  // time inside Store::advance
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

  // Wakes the committer if it sleeps; a system call only then. Call once after a batch of verifications.
  void kick() noexcept;

  // Blocks until the change is durable or failed; any thread but an event loop's.
  Outcome commit(const Change& change);

  // Blocks until every cell that was pushed before the call is on disk. False: the store takes no writes, stop() was
  // called, or a producer does not publish. Any thread but a producer's.
  bool settle();

  // Drains everything that was pushed, then ends the thread. Nothing may be pushed afterwards.
  void stop();

  const CommitCounters& counters() const { return counters_; }

 private:
  struct Waiting;
  static constexpr std::size_t cells_per_group_max = 1 << 15;
  void run();
  std::size_t drain();
  void commit_group();
  void keep_unsaved();

  Store& store_;
  std::mutex producers_mutex_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::mutex changes_mutex_;
  std::condition_variable changes_done_;
  std::vector<Waiting*> changes_;
  std::atomic<std::uint32_t> wake_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stopping_{false};
  CommitCounters counters_;
  // Scratch of the committer thread.
  std::vector<CellWrite> group_cells_;
  std::vector<CellWrite> unsaved_;  // of groups that failed: memory has these values, so they go with the next group
  std::size_t group_unsaved_ = 0;   // how many of them the group begins with
  std::vector<std::pair<Ticket*, TicketSink*>> group_tickets_;
  std::vector<std::size_t> ticket_cells_;
  std::vector<Waiting*> group_changes_;
  std::vector<const Change*> group_change_pointers_;
  std::vector<Outcome> cell_outcomes_, change_outcomes_;
  std::thread thread_;
};

}  // namespace watchword::engine
