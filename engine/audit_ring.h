// Entries of the audit trail from a thread that decides without a lock, on their way to the committer: one thread writes,
// the committer reads, and an entry becomes durable in one group with the cells that were pushed after it. No allocation and
// no system call on the writing side; what does not fit is refused before anything is decided (has_room), never dropped.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/audit.h"

namespace watchword::engine {

class AuditRing {
 public:
  static constexpr std::size_t capacity = std::size_t{1} << 22;  // bytes; touched as it is used
  static constexpr std::size_t note_bytes_max = 1024;            // of all texts of a note and what goes with them

  AuditRing() : bytes_(std::make_unique_for_overwrite<char[]>(capacity)) {}

  // Whether `count` more notes fit, however long. Only this thread's pushes can make it false again.
  bool has_room(std::size_t count) noexcept;
  // Copies the texts. Not seen by the committer before publish(). has_room() must have said yes. A detail that makes the
  // note longer than note_bytes_max is left out; no other text may.
  void push(const AuditNote& note) noexcept;
  void publish() noexcept { tail_.store(pending_tail_, std::memory_order_release); }
  bool has_unpublished() const noexcept { return pending_tail_ != tail_.load(std::memory_order_relaxed); }

  // Committer: whether there is something to take.
  bool has_published() const noexcept {
    return tail_.load(std::memory_order_acquire) != head_.load(std::memory_order_relaxed);
  }
  // Committer: appends what was published. The texts stay where they are until done(), and so long they take up room.
  void take(std::vector<AuditNote>& notes);
  void done() noexcept { head_.store(taken_, std::memory_order_release); }

 private:
  static constexpr std::size_t texts = 7;
  void put(const void* from, std::size_t count) noexcept;

  const std::unique_ptr<char[]> bytes_;
  // Writer's side.
  alignas(64) std::uint64_t pending_tail_ = 0;
  std::uint64_t head_seen_ = 0;
  std::atomic<std::uint64_t> tail_{0};
  // Reader's side.
  alignas(64) std::atomic<std::uint64_t> head_{0};
  std::uint64_t taken_ = 0;
  std::vector<char> whole_;  // what goes over the ring's end, in one piece
};

}  // namespace watchword::engine
