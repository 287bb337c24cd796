#include "engine/committer.h"

#include <pthread.h>

#include <algorithm>
#include <cassert>
#include <chrono>

#include "engine/thread_rank.h"

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
  urgent_ |= ticket != nullptr;
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

// The committer says that it rests before it looks a last time at what was pushed; a producer publishes before it looks
// whether the committer rests. With both fences one of the two sees the other. Whoever ends a rest wakes, nobody else.
void Committer::kick(bool urgent) noexcept {
  if (urgent) urgent_.store(true, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Rest rest = rest_.load(std::memory_order_relaxed);
  if (rest == Rest::none || (rest == Rest::lingering && !urgent)) return;
  if (!rest_.compare_exchange_strong(rest, Rest::none, std::memory_order_relaxed)) return;
  {
    const std::lock_guard lock(woken_mutex_);
    woken_ = true;
  }
  woken_changed_.notify_one();
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
  kick();
  if (thread_.joinable()) thread_.join();
}

std::size_t Committer::waiting() {
  const std::lock_guard lock(producers_mutex_);
  std::size_t cells = 0;
  for (const auto& producer : producers_) {
    const std::uint64_t head = producer->head_.load(std::memory_order_relaxed);
    const std::uint64_t tail = producer->tail_.load(std::memory_order_relaxed);
    if (tail > head) cells += tail - head;
  }
  return cells;
}

std::size_t Committer::drain() {
  counters_.rounds.fetch_add(1, std::memory_order_relaxed);
  group_cells_.clear();
  group_tickets_.clear();
  ticket_cells_.clear();
  group_changes_.clear();
  group_change_pointers_.clear();
  group_notes_.notes.clear();
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
      producer->notes_.take(group_notes_.notes);
    }
  }
  // Each producer's stand in the order of time: together they shall, too.
  const auto earlier = [](const AuditNote& a, const AuditNote& b) { return a.at < b.at; };
  std::vector<AuditNote>& notes = group_notes_.notes;
  if (!std::is_sorted(notes.begin(), notes.end(), earlier)) std::stable_sort(notes.begin(), notes.end(), earlier);
  {
    const std::lock_guard lock(changes_mutex_);
    group_changes_.swap(changes_);
  }
  // A group that is full has left somebody behind, who may wait.
  if (group_cells_.size() >= cells_per_group_max) urgent_.store(true, std::memory_order_relaxed);
  for (const Waiting* waiting : group_changes_) group_change_pointers_.push_back(waiting->change);
  if (!group_notes_.notes.empty()) group_change_pointers_.push_back(&group_notes_);
  if (group_cells_.size() == group_unsaved_ && group_change_pointers_.empty()) {
    std::swap(group_cells_, unsaved_);  // nothing new: no reason to ask the store again
    return 0;
  }
  return group_cells_.size() + group_change_pointers_.size();
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
  change_outcomes_.assign(group_change_pointers_.size(), Outcome::failed);
  const auto begin = std::chrono::steady_clock::now();
  store_.advance(group_cells_, group_change_pointers_, cell_outcomes_, change_outcomes_);
  const auto spent = std::chrono::steady_clock::now() - begin;
  counters_.busy_ns.fetch_add(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()),
      std::memory_order_relaxed);
  counters_.groups.fetch_add(1, std::memory_order_relaxed);
  counters_.cells.fetch_add(group_cells_.size(), std::memory_order_relaxed);
  counters_.changes.fetch_add(group_changes_.size(), std::memory_order_relaxed);
  if (GroupWatcher* const watcher = watcher_.load(std::memory_order_acquire)) {
    const auto failed = [](Outcome outcome) { return outcome == Outcome::failed; };
    watcher->committed({.cells = group_cells_.size(),
                        .changes = group_changes_.size(),
                        .spent = spent,
                        .durable = std::none_of(cell_outcomes_.begin(), cell_outcomes_.end(), failed) &&
                                   std::none_of(change_outcomes_.begin(), change_outcomes_.end(), failed)});
  }
  if (!group_notes_.notes.empty()) {
    if (change_outcomes_.back() == Outcome::failed) {
      counters_.notes_lost.fetch_add(group_notes_.notes.size(), std::memory_order_relaxed);
    }
    const std::lock_guard lock(producers_mutex_);
    for (const auto& producer : producers_) producer->notes_.done();
  }
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

bool Committer::queued() {
  {
    const std::lock_guard lock(producers_mutex_);
    for (const auto& producer : producers_) {
      if (producer->tail_.load(std::memory_order_acquire) != producer->head_.load(std::memory_order_relaxed)) return true;
      if (producer->notes_.has_published()) return true;
    }
  }
  const std::lock_guard lock(changes_mutex_);
  return !changes_.empty();
}

void Committer::await_wake() {
  std::unique_lock lock(woken_mutex_);
  woken_changed_.wait(lock, [this] { return woken_; });
  woken_ = false;
}

// The committer's own doing. Where somebody else was quicker, he says so, or is about to.
void Committer::end_rest() {
  if (rest_.exchange(Rest::none, std::memory_order_relaxed) == Rest::none) await_wake();
}

// Nobody waits for what is queued, as far as is known: a while for more to come.
void Committer::wait_for_company() {
  rest_.store(Rest::lingering, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!urgent_.load(std::memory_order_relaxed) && !stopping_.load(std::memory_order_relaxed)) {
    std::unique_lock lock(woken_mutex_);
    woken_changed_.wait_for(lock, linger, [this] { return woken_; });
  }
  end_rest();
  urgent_.store(false, std::memory_order_relaxed);
  // What was published by who ended the rest, or found it ended, is seen by the drain that follows.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Committer::run() {
  pthread_setname_np(pthread_self(), "committer");
  rank_as_prompt();
  for (;;) {
    if (!urgent_.exchange(false, std::memory_order_acquire) && queued()) wait_for_company();
    if (drain() > 0) {
      commit_group();
      continue;
    }
    if (stopping_.load(std::memory_order_acquire)) {
      if (drain() == 0) return;
      commit_group();
      continue;
    }
    rest_.store(Rest::asleep, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!queued() && !stopping_.load(std::memory_order_acquire)) {
      await_wake();
    } else {
      end_rest();
    }
  }
}

}  // namespace watchword::engine
