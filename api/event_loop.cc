#include "api/event_loop.h"

#include <openssl/crypto.h>
#include <pthread.h>

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>

#include "api/import_rows.h"
#include "api/log.h"
#include "api/problem.h"
#include "engine/rcu.h"

namespace watchword::api {
namespace {

constexpr std::size_t scratch_bytes = 64 * 1024;
constexpr std::chrono::milliseconds sweep_interval{250};
constexpr std::size_t spare_exchanges_max = 1024;
// Answers larger than this are rare; their memory is not kept.
constexpr std::size_t spare_answer_bytes_max = 4 * 1024;

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Work that leaves the loop and comes back with its result.
class LoopJob : public WorkerPool::Job {
 public:
  explicit LoopJob(EventLoop& loop) : loop_(loop) {}
  void run(std::unique_ptr<Job> self) noexcept final {
    work();
    boost::asio::post(loop_.io(), [self = std::move(self)] { static_cast<LoopJob&>(*self).finish(); });
  }

 protected:
  virtual void work() noexcept = 0;  // on a worker
  virtual void finish() = 0;         // on the loop
  EventLoop& loop_;
};

}  // namespace

class EventLoop::AdminJob final : public LoopJob {
 public:
  AdminJob(EventLoop& loop, Exchange& exchange, Route route, Request request)
      : LoopJob(loop), exchange_(exchange), route_(route), request_(std::move(request)) {}

 private:
  void work() noexcept override {
    Services& services = loop_.services_;
    switch (route_) {
      case Route::portal:
        response_ = services.portal.handle(request_, engine::wall_now());
        break;
      case Route::metrics:
        response_ = services.scrape();
        break;
      default:
        response_ = services.admin.handle(request_, engine::wall_now());
        break;
    }
  }
  void finish() override {
    Connection& connection = *exchange_.connection;
    connection.pin();
    loop_.turn();
    if (loop_.services_.stopping.load(std::memory_order_relaxed)) exchange_.form.close = true;
    if (!response_.route.empty()) exchange_.route_template = response_.route;
    if (response_.more != nullptr) {
      connection.answered_in_pieces(exchange_, response_);
    } else {
      write_answer(exchange_, response_);
      connection.answered(exchange_);
    }
    connection.work();
    connection.unpin();
    loop_.end_round();
  }

  Exchange& exchange_;
  const Route route_;
  Request request_;
  Response response_;
};

class EventLoop::RowsJob final : public LoopJob {
 public:
  RowsJob(EventLoop& loop, Exchange& exchange, std::unique_ptr<ImportRows> rows_in, std::string bytes_in, bool last)
      : LoopJob(loop), rows(std::move(rows_in)), bytes(std::move(bytes_in)), exchange_(exchange), last_(last) {}

  std::unique_ptr<ImportRows> rows;
  std::string bytes;

 private:
  void work() noexcept override {
    try {
      answer_ = rows->take(bytes);
      if (!answer_ && last_) answer_ = rows->finish();
    } catch (const std::exception& fault) {
      log(Level::error, "an import failed", {{"reason", fault.what()}, {"trace", std::string(exchange_.trace.view())}});
      answer_ = problem(503, "store_unavailable", "The store cannot be read at the moment. Send all rows again later.");
    }
    OPENSSL_cleanse(bytes.data(), bytes.size());
  }
  void finish() override {
    Connection& connection = *exchange_.connection;
    connection.pin();
    loop_.turn();
    connection.took_rows(exchange_, std::move(rows), answer_);
    connection.work();
    connection.unpin();
    loop_.end_round();
  }

  Exchange& exchange_;
  const bool last_;
  std::optional<Response> answer_;
};

class EventLoop::PieceJob final : public LoopJob {
 public:
  PieceJob(EventLoop& loop, Exchange& exchange) : LoopJob(loop), exchange_(exchange), source_(exchange.more) {}

 private:
  void work() noexcept override {
    try {
      state_ = source_->next(piece_) ? Piece::one_of_more : Piece::last;
    } catch (const std::exception& fault) {
      log(Level::error, "an answer is cut", {{"reason", fault.what()}, {"trace", std::string(exchange_.trace.view())}});
    }
  }
  void finish() override {
    Connection& connection = *exchange_.connection;
    connection.pin();
    loop_.turn();
    connection.made_piece(exchange_, piece_, state_);
    connection.work();
    connection.unpin();
    loop_.end_round();
  }

  Exchange& exchange_;
  const std::shared_ptr<BodySource> source_;
  std::string piece_;
  Piece state_ = Piece::failed;
};

class EventLoop::LoadJob final : public LoopJob {
 public:
  LoadJob(EventLoop& loop, Exchange& exchange, std::vector<VerifyPlane::Load> loads)
      : LoopJob(loop), exchange_(exchange), loads_(std::move(loads)) {}

 private:
  void work() noexcept override { load_users(loop_.services_.engine.registrar, loads_); }
  void finish() override {
    Connection& connection = *exchange_.connection;
    connection.pin();
    loop_.turn();
    loop_.proceed(exchange_, loop_.verify_plane_.loaded(exchange_, loads_, engine::wall_now()));
    connection.work();
    connection.unpin();
    loop_.end_round();
  }

  Exchange& exchange_;
  std::vector<VerifyPlane::Load> loads_;
};

class EventLoop::RecoveryJob final : public LoopJob {
 public:
  RecoveryJob(EventLoop& loop, VerifyPlane::RecoveryCheck check) : LoopJob(loop), check_(std::move(check)) {}

 private:
  void work() noexcept override { check_recovery(loop_.services_.engine.registrar, check_, engine::wall_now()); }
  void finish() override {
    Exchange& exchange = *check_.question->exchange;
    Connection& connection = *exchange.connection;
    connection.pin();
    loop_.turn();
    loop_.proceed(exchange, loop_.verify_plane_.recovered(check_));
    connection.work();
    connection.unpin();
    loop_.end_round();
  }

  VerifyPlane::RecoveryCheck check_;
};

EventLoop::EventLoop(Services& services)
    : services_(services),
      work_(boost::asio::make_work_guard(io_)),
      sweep_timer_(io_),
      metrics_(services.exposition != nullptr ? std::make_unique<LoopMetrics>() : nullptr),
      verify_plane_(services.engine, services.engine.committer.add_producer(this), metrics_.get()),
      scratch_(scratch_bytes),
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
  const engine::RcuThread registered;
  schedule_sweep();
  await_sockets();
  io_.run();
  verify_plane_.publish();
}

void EventLoop::await_sockets() {
  if (draining_ && connection_count_ == 0) return;
  events_ready_.async_wait(decltype(events_ready_)::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;  // drained
    serve_sockets();
  });
}

void EventLoop::serve_sockets() {
  // Then the others have their turn, whom only Asio knows: jobs that end, timers, new connections.
  constexpr unsigned rounds_max = 8;
  serving_ = true;
  bool served = true;
  for (unsigned round = 0; served && round < rounds_max; ++round) {
    const std::span<const epoll_event> events = events_.take();
    for (const epoll_event& event : events) {
      static_cast<Connection*>(event.data.ptr)
          ->note(SocketEvents::readable(event), SocketEvents::writable(event), SocketEvents::ended(event));
    }
    served = !events.empty() || !revisited_.empty();
    resume_revisited();
    take_tickets();
  }
  serving_ = false;
  if (!served) return await_sockets();
  boost::asio::post(io_, [this] { serve_sockets(); });
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
  if (spare_exchanges_.empty()) return *new Exchange;
  Exchange* const exchange = spare_exchanges_.back();
  spare_exchanges_.pop_back();
  return *exchange;
}

void EventLoop::recycle(Exchange& exchange) {
  exchange.connection = nullptr;
  exchange.next = nullptr;
  exchange.ready = false;
  exchange.waits = false;
  exchange.trace.clear();
  exchange.route_template = {};
  exchange.status = 200;
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

void EventLoop::end_round() {
  do {
    if (verify_plane_.holds_questions()) {
      verify_plane_.judge(engine::wall_now(), [this](Exchange& exchange, VerifyPlane::Progress progress) {
        touch(*exchange.connection);
        proceed(exchange, progress);
      });
    }
    verify_plane_.publish();  // before the answers are sent: the disk is slower
    work_touched();
  } while (verify_plane_.holds_questions());
  verify_plane_.publish();
  verify_plane_.end_round();
}

bool EventLoop::manage(Exchange& exchange, Route route, Request request) {
  WorkerPool& pool = hashes_slowly(request.method, request.target) ? services_.slow_workers
                     : asks_provider(request.target)               ? services_.provider_workers
                                                                   : services_.workers;
  std::unique_ptr<WorkerPool::Job> job = std::make_unique<AdminJob>(*this, exchange, route, std::move(request));
  return pool.submit(job);
}

bool EventLoop::take_rows(Exchange& exchange, std::unique_ptr<ImportRows>& rows, std::string& bytes, bool last) {
  auto made = std::make_unique<RowsJob>(*this, exchange, std::move(rows), std::move(bytes), last);
  RowsJob& one = *made;
  std::unique_ptr<WorkerPool::Job> job = std::move(made);
  if (services_.workers.submit(job)) return true;
  rows = std::move(one.rows);
  bytes = std::move(one.bytes);
  return false;
}

bool EventLoop::make_piece(Exchange& exchange) {
  std::unique_ptr<WorkerPool::Job> job = std::make_unique<PieceJob>(*this, exchange);
  return services_.workers.submit(job);
}

void EventLoop::proceed(Exchange& exchange, VerifyPlane::Progress progress) {
  if (progress == VerifyPlane::Progress::loads) {
    std::unique_ptr<WorkerPool::Job> job = std::make_unique<LoadJob>(*this, exchange, verify_plane_.wanted(exchange));
    progress = services_.workers.submit(job) ? VerifyPlane::Progress::waits : verify_plane_.load_refused(exchange);
  }
  if (exchange.recovering > 0) {
    for (Question* const question : verify_plane_.recoveries(exchange)) {
      std::unique_ptr<WorkerPool::Job> job = std::make_unique<RecoveryJob>(*this, verify_plane_.check_of(*question));
      if (!services_.slow_workers.submit(job)) progress = verify_plane_.recovery_refused(*question);
    }
  }
  if (progress == VerifyPlane::Progress::ready) exchange.connection->answered(exchange);
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
