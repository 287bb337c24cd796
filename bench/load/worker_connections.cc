// Worker's connections: how they open and close, and what leaves through them.
#include <sys/epoll.h>

#include <algorithm>

#include "bench/load/worker.h"

namespace watchword::load {
namespace {

constexpr std::int64_t reopen_after_ns = 100'000'000;
constexpr std::int64_t connect_patience_ns = 10'000'000'000;
constexpr std::uint32_t for_reading = EPOLLIN;
constexpr std::uint32_t for_writing = EPOLLOUT;

}  // namespace

void Worker::open(std::size_t index) {
  Connection& connection = *connections_[index];
  connection.in.clear();
  connection.out.clear();
  connection.out_begin = 0;
  connection.asked_in_all = 0;
  connection.asks_when_writable = false;
  connection.since_ns = now_ns_;
  if (!connection.transport.open(*target_, tls_)) {
    count_one(recorder_->connections_failed);
    connection.state = Connection::State::closed;
    connection.since_ns = now_ns_ + reopen_after_ns;
    return;
  }
  connection.state = Connection::State::opening;
  ++opening_;
  epoll_event event{};
  event.events = for_reading | for_writing;
  event.data.u64 = index;
  connection.watches_write = true;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.transport.descriptor(), &event);
}

void Worker::go_on_opening(std::size_t index) {
  Connection& connection = *connections_[index];
  switch (connection.transport.establish()) {
    case Transport::Step::done:
      --opening_;
      connection.state = Connection::State::open;
      connection.opened_ns = now_ns_;
      count_one(recorder_->connections_opened);
      if (running_ && measured(connection.since_ns)) recorder_->connect.record(now_ns_ - connection.since_ns);
      watch(index, false);
      // since_ns stays: with churn, who asks next has waited since the connection before was closed.
      if (running_) offer(index);
      break;
    case Transport::Step::wants_read:
      watch(index, false);
      break;
    case Transport::Step::wants_write:
      watch(index, true);
      break;
    case Transport::Step::closed:
      drop(index, Outcome::broken);
      break;
  }
}

// Closes it; what is in flight on it will have no answer.
void Worker::drop(std::size_t index, Outcome why) {
  Connection& connection = *connections_[index];
  if (connection.state == Connection::State::opening) {
    --opening_;
    count_one(recorder_->connections_failed);
  }
  const bool failed = connection.state == Connection::State::opening || !connection.asked.empty();
  connection.transport.close();
  connection.state = Connection::State::closed;
  connection.since_ns = failed ? now_ns_ + reopen_after_ns : now_ns_;
  in_flight_ -= connection.asked.size();
  for (const Asked& asked : connection.asked) requests_.lose(asked, why, measured(asked.intended_ns) ? recorder_ : nullptr);
  connection.asked.clear();
}

void Worker::watch(std::size_t index, bool write) {
  Connection& connection = *connections_[index];
  if (connection.watches_write == write) return;
  connection.watches_write = write;
  epoll_event event{};
  event.events = write ? for_reading | for_writing : for_reading;
  event.data.u64 = index;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.transport.descriptor(), &event);
}

bool Worker::connect() {
  now_ns_ = steady_ns();
  const std::int64_t give_up_ns = now_ns_ + connect_patience_ns;
  std::size_t opened = 0, first = 0;
  while (!ledger_->stopped() && now_ns_ < give_up_ns) {
    while (first < connections_.size() && opening_ < opening_max) open(first++);
    wait(now_ns_ + sweep_every_ns);
    opened = static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(), [](const auto& connection) {
      return connection->state == Connection::State::open;
    }));
    if (first == connections_.size() && opening_ == 0) break;
  }
  return opened > 0;
}

void Worker::flush(std::size_t index) {
  Connection& connection = *connections_[index];
  while (connection.state == Connection::State::open && connection.out_begin < connection.out.size()) {
    std::size_t count = 0;
    const Transport::Step step =
        connection.transport.write(std::string_view(connection.out).substr(connection.out_begin), count);
    if (step == Transport::Step::done) {
      connection.out_begin += count;
      continue;
    }
    if (step == Transport::Step::closed) return drop(index, Outcome::broken);
    return watch(index, step == Transport::Step::wants_write);
  }
  connection.out.clear();
  connection.out_begin = 0;
  if (connection.state == Connection::State::open) watch(index, false);
}

}  // namespace watchword::load
