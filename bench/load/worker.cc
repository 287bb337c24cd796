#include "bench/load/worker.h"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace watchword::load {
namespace {

// How long an open loop may go on with what it could not send in time, and how long the last answers are awaited.
constexpr std::int64_t grace_ns = 5'000'000'000;
constexpr std::size_t buffer_bytes = 256 * 1024;

std::int64_t thread_cpu_ns() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return spent.tv_sec * std::int64_t{1'000'000'000} + spent.tv_nsec;
}

}  // namespace

std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Worker::Worker(const Options& options, const Target& target, SSL_CTX* tls, Requests requests, Ledger& ledger,
               Recorder& recorder, unsigned thread)
    : options_(&options),
      target_(&target),
      tls_(tls),
      requests_(std::move(requests)),
      ledger_(&ledger),
      recorder_(&recorder),
      thread_(thread),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      next_kind_(thread * Mix::cycle / options.threads),
      buffer_(buffer_bytes) {
  if (epoll_ < 0) throw std::runtime_error("epoll cannot be had");
  const unsigned own = options.connections / options.threads + (thread < options.connections % options.threads ? 1 : 0);
  for (unsigned i = 0; i < own; ++i) connections_.push_back(std::make_unique<Connection>());
}

Worker::~Worker() {
  ::close(epoll_);
}

// ---- answers

void Worker::read(std::size_t index) {
  Connection& connection = *connections_[index];
  while (connection.state == Connection::State::open) {
    std::size_t count = 0;
    const Transport::Step step = connection.transport.read(buffer_.data(), buffer_.size(), count);
    if (step == Transport::Step::wants_read) break;
    if (step == Transport::Step::wants_write) {
      watch(index, true);
      break;
    }
    now_ns_ = steady_ns();
    if (step == Transport::Step::closed) {
      drop(index, Outcome::broken);
      return;
    }
    bool dropped = false;
    if (connection.in.empty()) {
      const std::string_view in(buffer_.data(), count);
      const std::size_t taken = take_answers(index, in, dropped);
      if (!dropped) connection.in.assign(in.substr(taken));
    } else {
      connection.in.append(buffer_.data(), count);
      const std::size_t taken = take_answers(index, connection.in, dropped);
      if (!dropped) connection.in.erase(0, taken);
    }
    if (dropped) return;
    // A plain socket that gave less than there was room for is empty; TLS may hold another record.
    if (!tls_ && count < buffer_.size()) break;
  }
  if (connection.state != Connection::State::open) return;
  if (options_->bunches && !schedule_) {
    connection.asks_when_writable = true;
    watch(index, true);
  } else {
    offer(index);
  }
}

// The number of bytes taken. `dropped`: the connection is closed, and `in` no longer its.
std::size_t Worker::take_answers(std::size_t index, std::string_view in, bool& dropped) {
  Connection& connection = *connections_[index];
  std::size_t taken = 0;
  while (taken < in.size() && !connection.asked.empty()) {
    HttpAnswer answer;
    const Parse parsed = parser_.parse(in.substr(taken), answer);
    if (parsed == Parse::incomplete) return taken;
    if (parsed == Parse::malformed) {
      ledger_->fail("an answer is no HTTP/1.1 answer with a Content-Length");
      drop(index, Outcome::wrong);
      dropped = true;
      return 0;
    }
    answered(connection, answer);
    taken += answer.bytes;
    const bool worn_out = options_->churn != 0 && connection.asked_in_all >= options_->churn && connection.asked.empty();
    if (answer.close || worn_out) {
      drop(index, Outcome::broken);
      if (now_ns_ < timeline_.end_ns && opening_ < opening_max) open(index);
      dropped = true;
      return 0;
    }
  }
  if (taken < in.size()) {
    ledger_->fail("bytes came that nothing had been asked for");
    drop(index, Outcome::wrong);
    dropped = true;
  }
  return taken;
}

void Worker::answered(Connection& connection, const HttpAnswer& answer) {
  const Asked asked = connection.asked.front();
  connection.asked.pop_front();
  --in_flight_;
  Recorder* const record = measured(asked.intended_ns) ? recorder_ : nullptr;
  if (record) {
    (*record)[asked.kind].response.record(now_ns_ - asked.intended_ns);
    (*record)[asked.kind].service.record(now_ns_ - asked.sent_ns);
    record->last_answer_ns.store(now_ns_, std::memory_order_relaxed);
    record->lag.record(asked.sent_ns - std::max(asked.intended_ns, asked.free_ns));
  }
  requests_.judge(asked, answer, timeline_.wall_ms(now_ns_), record);
  connection.since_ns = now_ns_;
}

// ---- requests

bool Worker::may_ask(const Connection& connection) const {
  return connection.state == Connection::State::open && connection.asked.size() < options_->pipeline &&
         (options_->churn == 0 || connection.asked_in_all < options_->churn);
}

bool Worker::ask(Connection& connection, Kind kind, std::int64_t intended_ns) {
  std::optional<Asked> asked = kind == Kind::confirm ? requests_.write_confirmation(connection.out)
                                                     : requests_.write(kind, timeline_.wall_ms(now_ns_), connection.out);
  if (!asked) return false;
  asked->intended_ns = intended_ns;
  asked->free_ns = std::max(connection.since_ns, connection.opened_ns);
  asked->sent_ns = steady_ns();
  connection.asked.push_back(*asked);
  ++connection.asked_in_all;
  ++in_flight_;
  return true;
}

// The next kind of the mix that somebody has a code for.
bool Worker::ask_next(Connection& connection, std::int64_t intended_ns) {
  const std::vector<Kind>& order = options_->mix.order();
  std::uint32_t tried = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Kind kind = order[next_kind_];
    next_kind_ = (next_kind_ + 1) % order.size();
    const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(kind);
    if (tried & bit) continue;
    if (ask(connection, kind, intended_ns)) return true;
    tried |= bit;
    if (measured(intended_ns)) count_one((*recorder_)[kind].skipped);
    // What is due in an open loop is due now or not at all.
    if (schedule_) return true;
  }
  return false;
}

// A closed loop: as many as may be in flight.
void Worker::fill(std::size_t index) {
  Connection& connection = *connections_[index];
  while (now_ns_ < timeline_.end_ns && may_ask(connection)) {
    if (!ask(connection, Kind::confirm, connection.since_ns) && !ask_next(connection, connection.since_ns)) {
      if (!connection.waits_for_work) {
        connection.waits_for_work = true;
        free_.push_back(index);
      }
      break;
    }
  }
  flush(index);
}

// The connection may have room for requests.
void Worker::offer(std::size_t index) {
  if (!schedule_) return fill(index);
  Connection& connection = *connections_[index];
  while (may_ask(connection) && ask(connection, Kind::confirm, now_ns_)) {
  }
  flush(index);
  if (may_ask(connection) && !connection.waits_for_work) {
    connection.waits_for_work = true;
    free_.push_back(index);
  }
}

// An open loop: whatever is due, on whatever connection has been free for longest.
void Worker::dispatch_due() {
  while (schedule_->due() && !free_.empty()) {
    std::int64_t due_ns = timeline_.begin_ns + *schedule_->due();
    if (due_ns > now_ns_) return;
    const std::size_t index = free_.front();
    free_.pop_front();
    Connection& connection = *connections_[index];
    connection.waits_for_work = false;
    // All that is due by now and has room there: with pipelining it leaves in one write.
    for (; may_ask(connection) && due_ns <= now_ns_; due_ns = timeline_.begin_ns + *schedule_->due()) {
      schedule_->advance();
      ask_next(connection, due_ns);
      if (!schedule_->due()) break;
    }
    flush(index);
    if (may_ask(connection)) {
      connection.waits_for_work = true;
      free_.push_back(index);
    }
    now_ns_ = steady_ns();
  }
}

// ---- the loop

void Worker::sweep() {
  const auto patience_ns = static_cast<std::int64_t>(options_->timeout_s * 1e9);
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& connection = *connections_[i];
    switch (connection.state) {
      case Connection::State::closed:
        if (now_ns_ >= connection.since_ns && now_ns_ < timeline_.end_ns && opening_ < opening_max) open(i);
        break;
      case Connection::State::opening:
        if (now_ns_ - connection.since_ns > patience_ns) drop(i, Outcome::timed_out);
        break;
      case Connection::State::open:
        if (!connection.asked.empty() && now_ns_ - connection.asked.front().sent_ns > patience_ns)
          drop(i, Outcome::timed_out);
        break;
    }
  }
  if (schedule_) return;
  // Those that found nobody with a fresh code.
  for (std::size_t left = free_.size(); left > 0; --left) {
    const std::size_t index = free_.front();
    free_.pop_front();
    connections_[index]->waits_for_work = false;
    connections_[index]->since_ns = now_ns_;
    fill(index);
  }
}

// Waking for each request and each answer costs more than they do, and a tester that keeps its core busy takes from the
// server what a host shares out among cores.
void Worker::sleep_out_tick() {
  const std::int64_t until_ns = looked_ns_ + std::int64_t{options_->tick_us} * 1000;
  if (options_->tick_us == 0 || !running_ || !schedule_) return;
  if (now_ns_ < until_ns) {
    const timespec until{until_ns / 1'000'000'000, until_ns % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
  now_ns_ = steady_ns();
}

void Worker::wait(std::int64_t until_ns) {
  sleep_out_tick();
  std::array<epoll_event, 256> events;
  const std::int64_t left_ns = std::max<std::int64_t>(0, until_ns - now_ns_);
  const timespec patience{left_ns / 1'000'000'000, left_ns % 1'000'000'000};
  const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &patience, nullptr);
  if (count < 0 && errno != EINTR) throw std::runtime_error("epoll failed");
  looked_ns_ = now_ns_ = steady_ns();
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(count, 0)); ++i) {
    handle(static_cast<std::size_t>(events[i].data.u64), events[i].events);
    // What falls due while many answers are read is not kept waiting for the last of them.
    if (running_ && schedule_) dispatch_due();
  }
}

void Worker::handle(std::size_t index, std::uint32_t events) {
  Connection& connection = *connections_[index];
  if (connection.state == Connection::State::opening) {
    go_on_opening(index);
  } else if (connection.state == Connection::State::open) {
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read(index);
    if (connection.state != Connection::State::open || (events & EPOLLOUT) == 0) return;
    if (std::exchange(connection.asks_when_writable, false)) {
      offer(index);
    } else {
      flush(index);
    }
  }
}

void Worker::run(const Timeline& timeline) {
  // The kernel may otherwise wake this thread 50 microseconds late.
  prctl(PR_SET_TIMERSLACK, 1UL);
  timeline_ = timeline;
  if (options_->rate) {
    schedule_.emplace(*options_->rate, timeline.end_ns - timeline.begin_ns, options_->arrivals, thread_, options_->threads);
  }
  while ((now_ns_ = steady_ns()) < timeline.begin_ns) wait(timeline.begin_ns);
  running_ = true;
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    connections_[i]->since_ns = std::max(connections_[i]->since_ns, timeline.begin_ns);
    if (connections_[i]->state == Connection::State::open) offer(i);
  }
  std::int64_t next_sweep_ns = now_ns_ + sweep_every_ns;
  std::optional<std::int64_t> cpu_before_ns;
  while (!ledger_->stopped()) {
    std::int64_t until_ns = next_sweep_ns;
    if (schedule_) {
      dispatch_due();
      if (schedule_->due() && !free_.empty()) until_ns = std::min(until_ns, timeline.begin_ns + *schedule_->due());
    }
    if (now_ns_ >= timeline.end_ns) {
      const bool all_sent = !schedule_ || !schedule_->due();
      const std::int64_t patience_ns = all_sent ? static_cast<std::int64_t>(options_->timeout_s * 1e9) : grace_ns;
      if ((all_sent && in_flight_ == 0) || now_ns_ > timeline.end_ns + patience_ns) break;
    }
    wait(until_ns);
    if (now_ns_ >= next_sweep_ns) {
      next_sweep_ns = now_ns_ + sweep_every_ns;
      if (!cpu_before_ns && now_ns_ >= timeline.measure_ns) cpu_before_ns = thread_cpu_ns();
      if (cpu_before_ns && now_ns_ < timeline.end_ns) {
        recorder_->cpu_ns.store(thread_cpu_ns() - *cpu_before_ns, std::memory_order_relaxed);
      }
      sweep();
    }
  }
  for (; schedule_ && schedule_->due(); schedule_->advance()) count_one(recorder_->unsent);
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i]->state == Connection::State::open) drop(i, Outcome::timed_out);
  }
}

}  // namespace watchword::load
