#include "engine/committer.h"

#include <algorithm>
#include <cassert>
#include <chrono>

namespace watchword::engine {

struct Committer::Waiting {
  const Change* change;
  Outcome outcome = Outcome::failed;
  bool done = false;  // under changes_mutex_
};

bool Producer::has_room(std::size_t count) noexcept {
  const std::uint64_t end = pending_tail_.load(std::memory_order_relaxed) + count;
  if (end - head_seen_ <= capacity) return true;
  head_seen_ = head_.load(std::memory_order_acquire);
  return end - head_seen_ <= capacity;
}

void Producer::push(const CellWrite& write, Ticket* ticket) noexcept {
  const std::uint64_t at = pending_tail_.load(std::memory_order_relaxed);
  entries_[at % capacity] = {write, ticket};
  pending_tail_.store(at + 1, std::memory_order_release);
}

Committer::Committer(Store& store) : store_(store) {
  thread_ = std::thread([this] { run(); });
}

Committer::~Committer() {
  stop();
}

Producer& Committer::add_producer(TicketSink* sink) {
  const std::lock_guard lock(producers_mutex_);
  producers_.push_back(std::make_unique<Producer>(sink));
  return *producers_.back();
}

// The committer says that it sleeps before it looks a last time at what was pushed; a producer publishes before it looks
// whether the committer sleeps. With both fences one of the two sees the other.
void Committer::kick() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!asleep_.load(std::memory_order_relaxed)) return;
  wake_.fetch_add(1, std::memory_order_release);
  wake_.notify_one();
}

Outcome Committer::commit(const Change& change) {
  Waiting waiting{.change = &change};
  {
    const std::lock_guard lock(changes_mutex_);
    if (stopping_.load(std::memory_order_relaxed)) return Outcome::failed;
    changes_.push_back(&waiting);
  }
  kick();
  std::unique_lock lock(changes_mutex_);
  changes_done_.wait(lock, [&] { return waiting.done; });
  return waiting.outcome;
}

bool Committer::settle() {
  // Slept only where a producer has pushed and not published yet.
  constexpr std::chrono::microseconds pause{200};
  constexpr unsigned tries_max = 100;
  std::vector<std::pair<const Producer*, std::uint64_t>> targets;
  {
    const std::lock_guard lock(producers_mutex_);
    for (const auto& producer : producers_) {
      targets.emplace_back(producer.get(), producer->pending_tail_.load(std::memory_order_acquire));
    }
  }
  for (const auto& [producer, target] : targets) {
    for (unsigned tries = 0; producer->durable_.load(std::memory_order_acquire) < target; ++tries) {
      if (tries == tries_max) return false;
      if (tries > 0) std::this_thread::sleep_for(pause);
      if (commit({}) != Outcome::durable) return false;
    }
  }
  return true;
}

void Committer::stop() {
  {
    const std::lock_guard lock(changes_mutex_);
    stopping_.store(true, std::memory_order_release);
  }
  wake_.fetch_add(1, std::memory_order_release);
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::size_t Committer::drain() {
  group_cells_.clear();
  group_tickets_.clear();
  ticket_cells_.clear();
  group_changes_.clear();
  group_change_pointers_.clear();
  std::swap(group_cells_, unsaved_);
  group_unsaved_ = group_cells_.size();
  {
    const std::lock_guard lock(producers_mutex_);
    for (const auto& producer : producers_) {
      const std::uint64_t tail = producer->tail_.load(std::memory_order_acquire);
      std::uint64_t head = producer->head_.load(std::memory_order_relaxed);
      for (; head != tail && group_cells_.size() < cells_per_group_max; ++head) {
        const Producer::Entry& entry = producer->entries_[head % Producer::capacity];
        if (entry.ticket != nullptr) {
          group_tickets_.emplace_back(entry.ticket, producer->sink_);
          ticket_cells_.push_back(group_cells_.size());
        }
        group_cells_.push_back(entry.write);
      }
      producer->head_.store(head, std::memory_order_release);
    }
  }
  {
    const std::lock_guard lock(changes_mutex_);
    group_changes_.swap(changes_);
  }
  for (const Waiting* waiting : group_changes_) group_change_pointers_.push_back(waiting->change);
  if (group_cells_.size() == group_unsaved_ && group_changes_.empty()) {
    std::swap(group_cells_, unsaved_);  // nothing new: no reason to ask the store again
    return 0;
  }
  return group_cells_.size() + group_changes_.size();
}

// Until the next group. Few: a store that takes no writes is not asked to verify.
void Committer::keep_unsaved() {
  unsaved_.clear();
  for (std::size_t i = 0; i < group_cells_.size(); ++i) {
    if (cell_outcomes_[i] == Outcome::failed) unsaved_.push_back(group_cells_[i]);
  }
  if (!unsaved_.empty()) return;
  const std::lock_guard lock(producers_mutex_);
  for (const auto& producer : producers_) {
    producer->durable_.store(producer->head_.load(std::memory_order_relaxed), std::memory_order_release);
  }
}

void Committer::commit_group() {
  cell_outcomes_.assign(group_cells_.size(), Outcome::failed);
  change_outcomes_.assign(group_changes_.size(), Outcome::failed);
  const auto begin = std::chrono::steady_clock::now();
  store_.advance(group_cells_, group_change_pointers_, cell_outcomes_, change_outcomes_);
  const auto spent = std::chrono::steady_clock::now() - begin;
  counters_.busy_ns.fetch_add(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()),
      std::memory_order_relaxed);
  counters_.groups.fetch_add(1, std::memory_order_relaxed);
  counters_.cells.fetch_add(group_cells_.size(), std::memory_order_relaxed);
  counters_.changes.fetch_add(group_changes_.size(), std::memory_order_relaxed);
  if (!store_.writable()) counters_.failed_groups.fetch_add(1, std::memory_order_relaxed);

  // Tickets of one producer stand together, so each sink gets one list.
  for (std::size_t at = 0; at < group_tickets_.size();) {
    TicketSink* const sink = group_tickets_[at].second;
    Ticket* first = nullptr;
    Ticket** link = &first;
    for (; at < group_tickets_.size() && group_tickets_[at].second == sink; ++at) {
      Ticket* const ticket = group_tickets_[at].first;
      ticket->outcome = cell_outcomes_[ticket_cells_[at]];
      *link = ticket;
      link = &ticket->next;
    }
    *link = nullptr;
    assert(sink != nullptr);
    sink->deliver(first);
  }
  keep_unsaved();
  if (group_changes_.empty()) return;
  {
    const std::lock_guard lock(changes_mutex_);
    for (std::size_t i = 0; i < group_changes_.size(); ++i) {
      group_changes_[i]->outcome = change_outcomes_[i];
      group_changes_[i]->done = true;
    }
  }
  changes_done_.notify_all();
}

void Committer::run() {
  for (;;) {
    if (drain() > 0) {
      commit_group();
      continue;
    }
    if (stopping_.load(std::memory_order_acquire)) {
      if (drain() == 0) return;
      commit_group();
      continue;
    }
    const std::uint32_t seen = wake_.load(std::memory_order_acquire);
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (drain() > 0) {
      asleep_.store(false, std::memory_order_relaxed);
      commit_group();
      continue;
    }
    if (!stopping_.load(std::memory_order_acquire)) wake_.wait(seen, std::memory_order_acquire);
    asleep_.store(false, std::memory_order_relaxed);
  }
}

}  // namespace watchword::engine
