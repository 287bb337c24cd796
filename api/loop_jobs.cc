// Work that leaves an event loop for a worker and comes back with its result: the loop's jobs, and who makes them.
#include <openssl/crypto.h>

#include <boost/asio/post.hpp>

#include "api/event_loop.h"
#include "api/import_rows.h"
#include "api/log.h"
#include "api/problem.h"

namespace watchword::api {

class EventLoop::Job : public WorkerPool::Job {
 public:
  Job(EventLoop& loop, Exchange& exchange) : loop_(loop), exchange_(exchange) {}
  void run(std::unique_ptr<WorkerPool::Job> self) noexcept final {
    work();
    boost::asio::post(loop_.io(), [self = std::move(self)] { static_cast<Job&>(*self).come_back(); });
  }

 protected:
  virtual void work() noexcept = 0;                 // on a worker
  virtual void finish(Connection& connection) = 0;  // on the loop
  EventLoop& loop_;
  Exchange& exchange_;

 private:
  void come_back() {
    Connection& connection = *exchange_.connection;
    connection.pin();
    loop_.turn();
    finish(connection);
    connection.work();
    connection.unpin();
    loop_.end_round();
  }
};

class EventLoop::AdminJob final : public Job {
 public:
  AdminJob(EventLoop& loop, Exchange& exchange, Route route, Request request)
      : Job(loop, exchange), route_(route), request_(std::move(request)) {}

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
  void finish(Connection& connection) override {
    if (loop_.services_.stopping.load(std::memory_order_relaxed)) exchange_.form.close = true;
    if (!response_.route.empty()) exchange_.route_template = response_.route;
    if (response_.more != nullptr) {
      connection.answered_in_pieces(exchange_, response_);
    } else {
      write_answer(exchange_, response_);
      connection.answered(exchange_);
    }
  }

  const Route route_;
  Request request_;
  Response response_;
};

class EventLoop::RowsJob final : public Job {
 public:
  RowsJob(EventLoop& loop, Exchange& exchange, std::unique_ptr<ImportRows> rows_in, std::string bytes_in, bool last)
      : Job(loop, exchange), rows(std::move(rows_in)), bytes(std::move(bytes_in)), last_(last) {}

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
  void finish(Connection& connection) override { connection.took_rows(exchange_, std::move(rows), answer_); }

  const bool last_;
  std::optional<Response> answer_;
};

class EventLoop::PieceJob final : public Job {
 public:
  PieceJob(EventLoop& loop, Exchange& exchange) : Job(loop, exchange), source_(exchange.more) {}

 private:
  void work() noexcept override {
    try {
      state_ = source_->next(piece_) ? Piece::one_of_more : Piece::last;
    } catch (const std::exception& fault) {
      log(Level::error, "an answer is cut", {{"reason", fault.what()}, {"trace", std::string(exchange_.trace.view())}});
    }
  }
  void finish(Connection& connection) override { connection.made_piece(exchange_, piece_, state_); }

  const std::shared_ptr<BodySource> source_;
  std::string piece_;
  Piece state_ = Piece::failed;
};

class EventLoop::LoadJob final : public Job {
 public:
  LoadJob(EventLoop& loop, Exchange& exchange, std::vector<VerifyPlane::Load> loads)
      : Job(loop, exchange), loads_(std::move(loads)) {}

 private:
  void work() noexcept override { load_users(loop_.services_.engine.registrar, loads_); }
  void finish(Connection&) override {
    loop_.proceed(exchange_, loop_.verify_plane_.loaded(exchange_, loads_, engine::wall_now()));
  }

  std::vector<VerifyPlane::Load> loads_;
};

class EventLoop::RecoveryJob final : public Job {
 public:
  RecoveryJob(EventLoop& loop, VerifyPlane::RecoveryCheck check)
      : Job(loop, *check.question->exchange), check_(std::move(check)) {}

 private:
  void work() noexcept override { check_recovery(loop_.services_.engine.registrar, check_, engine::wall_now()); }
  void finish(Connection&) override { loop_.proceed(exchange_, loop_.verify_plane_.recovered(check_)); }

  VerifyPlane::RecoveryCheck check_;
};

bool EventLoop::manage(Exchange& exchange, Route route, Request request) {
  WorkerPool& pool = hashes_slowly(request.method, request.target)   ? services_.slow_workers
                     : asks_provider(request.target)                 ? services_.provider_workers
                     : works_in_bulk(request.method, request.target) ? services_.bulk_workers
                                                                     : services_.workers;
  std::unique_ptr<WorkerPool::Job> job = std::make_unique<AdminJob>(*this, exchange, route, std::move(request));
  return pool.submit(job);
}

bool EventLoop::take_rows(Exchange& exchange, std::unique_ptr<ImportRows>& rows, std::string& bytes, bool last) {
  auto made = std::make_unique<RowsJob>(*this, exchange, std::move(rows), std::move(bytes), last);
  RowsJob& one = *made;
  std::unique_ptr<WorkerPool::Job> job = std::move(made);
  if (services_.bulk_workers.submit(job)) return true;
  rows = std::move(one.rows);
  bytes = std::move(one.bytes);
  return false;
}

bool EventLoop::make_piece(Exchange& exchange) {
  std::unique_ptr<WorkerPool::Job> job = std::make_unique<PieceJob>(*this, exchange);
  return services_.bulk_workers.submit(job);
}

void EventLoop::proceed(Exchange& exchange, VerifyPlane::Progress progress) {
  if (progress == VerifyPlane::Progress::loads || exchange.recovering > 0) exchange.connection->needs_workers();
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

}  // namespace watchword::api
