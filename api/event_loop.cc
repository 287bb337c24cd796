#include "api/event_loop.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <thread>

#include <boost/asio/post.hpp>

#include "api/core_share.h"
#include "engine/rcu.h"
#include "engine/thread_rank.h"

namespace watchword::api {
namespace {

constexpr std::chrono::milliseconds sweep_interval{250};
constexpr std::size_t spare_exchanges_max = 4096;
// Answers larger than this are rare; their memory is not kept.
constexpr std::size_t spare_answer_bytes_max = 4 * 1024;

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Spent {
  std::chrono::nanoseconds wall{0}, processor{0};  // of this thread
};
Spent spent_so_far() {
  timespec processor{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &processor);
  return {.wall = std::chrono::steady_clock::now().time_since_epoch(),
          .processor = std::chrono::seconds(processor.tv_sec) + std::chrono::nanoseconds(processor.tv_nsec)};
}

// Whether there was reason to.
bool leave_core(const Spent& begun, double memory_filled) {
  const Spent now = spent_so_far();
  const std::chrono::nanoseconds own = now.processor - begun.processor, others = now.wall - begun.wall - own;
  const std::chrono::nanoseconds rest = rest_after_round(own, others, memory_filled);
  if (rest.count() <= 0) return false;
  std::this_thread::sleep_for(rest);
  return true;
}

}  // namespace

EventLoop::EventLoop(Services& services)
    : services_(services),
      work_(boost::asio::make_work_guard(io_)),
      sweep_timer_(io_),
      metrics_(services.exposition != nullptr ? std::make_unique<LoopMetrics>() : nullptr),
      verify_plane_(services.engine, services.engine.committer.add_producer(this), metrics_.get()),
      scratch_(front_bytes_max + read_bytes_max),
      tick_ms_(steady_ms()),
      events_ready_(io_, events_.handle()) {}

EventLoop::~EventLoop() {
  events_ready_.release();  // the descriptor is SocketEvents'
  for (Exchange* const exchange : spare_exchanges_) delete exchange;
}

void EventLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void EventLoop::join() {
  if (thread_.joinable()) thread_.join();
  // The delivery of the last ticket may still be about to return.
  while (deliveries_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
}

void EventLoop::run() {
  pthread_setname_np(pthread_self(), "loop");
  engine::rank_as_prompt();
  const engine::RcuThread registered;
  schedule_sweep();
  await_sockets();
  io_.run();
  verify_plane_.publish();
  verify_plane_.tell_of_locks_left_out();
}

void EventLoop::await_sockets() {
  if (draining_ && connection_count_ == 0) return;
  events_ready_.async_wait(decltype(events_ready_)::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;  // drained
    serve_sockets();
  });
}

void EventLoop::serve_sockets() {
  // Then the others have their turn, whom only Asio knows: jobs that end, timers, new connections. Also after a rest, which
  // they have waited for, too.
  constexpr unsigned rounds_max = 8;
  serving_ = true;
  bool served = true;
  for (unsigned round = 0; served && round < rounds_max; ++round) {
    const bool behind = services_.engine.store.behind();
    const Spent begun = behind ? spent_so_far() : Spent{};
    served = note_ready();
    resume_revisited();
    take_tickets();
    if (behind && served && leave_core(begun, services_.engine.store.memory_filled())) break;
  }
  serving_ = false;
  if (!served) return await_sockets();
  boost::asio::post(io_, [this] { serve_sockets(); });
}

// All that are ready, so that a round's budget sees everybody who waits.
bool EventLoop::note_ready() {
  constexpr unsigned takes_max = 64;
  now_.reset();
  bool any = !revisited_.empty();
  for (unsigned takes = 0; takes < takes_max; ++takes) {
    const std::span<const epoll_event> events = events_.take();
    for (const epoll_event& event : events) {
      static_cast<Connection*>(event.data.ptr)
          ->note(SocketEvents::readable(event), SocketEvents::writable(event), SocketEvents::ended(event));
    }
    any |= !events.empty();
    if (events.size() < SocketEvents::events_max) break;
  }
  return any || !revisited_.empty();
}

void EventLoop::revisit(Connection& connection) {
  if (connection.revisited) return;
  connection.revisited = true;
  connection.pin();
  revisited_.push_back(&connection);
  if (serving_) return;
  serving_ = true;
  boost::asio::post(io_, [this] {
    serving_ = false;
    resume_revisited();
    end_round();
  });
}

void EventLoop::resume_revisited() {
  resuming_.swap(revisited_);
  for (Connection* const connection : resuming_) {
    connection->revisited = false;
    connection->resume();
    connection->unpin();
    if (verify_plane_.holds_many_questions()) answer_questions();
  }
  resuming_.clear();
}

void EventLoop::drain() {
  boost::asio::post(io_, [this] {
    draining_ = true;
    drain_deadline_ms_ = steady_ms() + std::chrono::milliseconds(services_.options.drain_timeout).count();
    for (Connection *connection = first_connection_, *next = nullptr; connection != nullptr; connection = next) {
      next = connection->next;
      connection->drain();
    }
    end_if_drained();
  });
}

void EventLoop::end_if_drained() {
  if (!draining_ || connection_count_ > 0) return;
  sweep_timer_.cancel();
  events_ready_.cancel();
  work_.reset();
}

void EventLoop::adopt(TcpSocket socket, std::uint8_t planes, const TlsGate* gate) {
  auto* const connection = new Connection(*this, std::move(socket), planes, gate);
  connection->next = first_connection_;
  if (first_connection_ != nullptr) first_connection_->previous = connection;
  first_connection_ = connection;
  ++connection_count_;
  connection->start();
}

void EventLoop::forget(Connection& connection) {
  (connection.previous != nullptr ? connection.previous->next : first_connection_) = connection.next;
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  delete &connection;
  --connection_count_;
  services_.connections.fetch_sub(1, std::memory_order_relaxed);
  end_if_drained();
}

void EventLoop::schedule_sweep() {
  sweep_timer_.expires_after(sweep_interval);
  sweep_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    sweep();
    if (!draining_ || connection_count_ > 0) schedule_sweep();
  });
}

void EventLoop::sweep() {
  turns_.fetch_add(1, std::memory_order_relaxed);
  tick_ms_ = steady_ms();
  now_.reset();
  verify_plane_.tell_of_locks_left_out();
  const bool cut_all = draining_ && tick_ms_ >= drain_deadline_ms_;
  for (Connection *connection = first_connection_, *next = nullptr; connection != nullptr; connection = next) {
    next = connection->next;
    if (cut_all) {
      connection->cut();
    } else {
      connection->sweep();
    }
  }
}

Exchange& EventLoop::take_exchange() {
  Exchange* exchange = nullptr;
  if (spare_exchanges_.empty()) {
    exchange = new Exchange;
  } else {
    exchange = spare_exchanges_.back();
    spare_exchanges_.pop_back();
  }
  ++exchanges_;
  return *exchange;
}

void EventLoop::recycle(Exchange& exchange) {
  --exchanges_;
  exchange.connection = nullptr;
  exchange.next = nullptr;
  exchange.ready = false;
  exchange.waits = false;
  exchange.trace.clear();
  exchange.route_template = {};
  exchange.status = 200;
  exchange.shared = {};
  exchange.refusals = 0;
  exchange.interim = false;
  exchange.verified = false;
  exchange.route = Route::unknown;
  exchange.batch.reset();
  exchange.more.reset();
  if (exchange.out.capacity() > spare_answer_bytes_max) {
    exchange.out = {};
  } else {
    exchange.out.clear();
  }
  if (spare_exchanges_.size() < spare_exchanges_max) {
    spare_exchanges_.push_back(&exchange);
  } else {
    delete &exchange;
  }
}

void EventLoop::answer_questions() {
  if (verify_plane_.holds_questions()) {
    verify_plane_.judge(now(), [this](Exchange& exchange, VerifyPlane::Progress progress) {
      touch(*exchange.connection);
      proceed(exchange, progress);
    });
    verify_plane_.look_at_clock();
  }
  verify_plane_.publish();  // before the answers are sent: the disk is slower
  work_touched();
}

void EventLoop::end_round() {
  do {
    answer_questions();
  } while (verify_plane_.holds_questions());
  verify_plane_.publish();
  verify_plane_.end_round();
  now_.reset();
}

void EventLoop::deliver(engine::Ticket* first) noexcept {
  deliveries_.fetch_add(1, std::memory_order_relaxed);
  engine::Ticket* last = first;
  while (last->next != nullptr) last = last->next;
  engine::Ticket* before = returned_.load(std::memory_order_relaxed);
  do {
    last->next = before;
  } while (!returned_.compare_exchange_weak(before, first, std::memory_order_release, std::memory_order_relaxed));
  // Whoever found the list empty wakes the loop, once for all that follow before it looks.
  if (before == nullptr) boost::asio::post(io_, [this] { take_tickets(); });
  deliveries_.fetch_sub(1, std::memory_order_release);
}

void EventLoop::take_tickets() {
  engine::Ticket* ticket = returned_.exchange(nullptr, std::memory_order_acquire);
  turn();
  while (ticket != nullptr) {
    Question& question = static_cast<Question&>(*ticket);
    ticket = ticket->next;
    Exchange& exchange = *question.exchange;
    Connection& connection = *exchange.connection;
    touch(connection);
    proceed(exchange, verify_plane_.committed(question));
  }
  end_round();
}

void EventLoop::touch(Connection& connection) {
  if (connection.touched) return;
  connection.touched = true;
  connection.pin();
  touched_.push_back(&connection);
}

void EventLoop::work_touched() {
  working_.swap(touched_);
  for (Connection* const connection : working_) {
    connection->touched = false;
    connection->work();
    connection->unpin();
  }
  working_.clear();
}

}  // namespace watchword::api
