// One thread with its sockets. A connection lives on one loop for life, so nothing of it is shared or locked; what comes
// from elsewhere (tickets, results of jobs, accepted sockets) is posted here.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/connection.h"
#include "api/exchange.h"
#include "api/loop_metrics.h"
#include "api/services.h"
#include "api/socket_events.h"
#include "api/verify_plane.h"

namespace watchword::api {

using Executor = boost::asio::io_context::executor_type;  // concrete: a type-erased one costs at every operation
class ImportRows;

class EventLoop final : public engine::TicketSink {
 public:
  explicit EventLoop(Services& services);
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void start();
  // Times that the loop came round to its sweep, four a second: stands still only when the loop hangs. Any thread.
  std::uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }
  // Any thread, after the last socket was handed over: idle connections are closed, the others when their answers are sent,
  // all of them after the drain timeout. The thread ends when nobody waits for anything.
  void drain();
  void join();

  // Committer's thread.
  void deliver(engine::Ticket* first) noexcept override;

  boost::asio::io_context& io() { return io_; }
  Services& services() { return services_; }

  // The rest: on this loop's thread.
  void adopt(TcpSocket socket, std::uint8_t planes, const TlsGate* gate);
  void forget(Connection& connection);  // it is gone afterwards

  // From now on the connection hears what the socket is ready for. False: there is no memory for it.
  bool watch(int socket, Connection& connection) { return events_.add(socket, &connection); }
  // connection.resume() is called soon, and not from within this call.
  void revisit(Connection& connection);

  // Where every connection reads into, so much at most, behind what it puts in front; good until control returns to the
  // loop.
  static constexpr std::size_t read_bytes_max = 256 * 1024, front_bytes_max = 4 * 1024;
  std::span<char> scratch() { return scratch_; }
  std::size_t connection_count() const { return connection_count_; }
  Exchange& take_exchange();
  void recycle(Exchange& exchange);
  // So that a connection may have more than its share of them. Some 2 KB each.
  bool has_few_exchanges() const { return exchanges_ < 16 * 1024; }

  // Steady milliseconds, as of the last sweep: deadlines need no better.
  std::int64_t tick_ms() const { return tick_ms_; }

  // The wall clock, read once a round.
  engine::UnixMillis now() {
    if (!now_) now_ = engine::wall_now();
    return *now_;
  }

  VerifyPlane& verify_plane() { return verify_plane_; }
  // Null: nothing is counted.
  LoopMetrics* metrics() { return metrics_.get(); }
  // After whatever came: judges what was asked, hands it to the committer, sends what is ready.
  void end_round();
  // Runs the managed request on a worker; the answer comes back to connection.answered(). False: overloaded.
  bool manage(Exchange& exchange, Route route, Request request);
  // The same for the next bytes of an import; they come back to connection.took_rows().
  bool take_rows(Exchange& exchange, std::unique_ptr<ImportRows>& rows, std::string& bytes, bool last);
  // The same for the next piece of an answer; it comes back to connection.made_piece().
  bool make_piece(Exchange& exchange);
  // What VerifyPlane asked for: users are loaded, tickets awaited, or the answer is there.
  void proceed(Exchange& exchange, VerifyPlane::Progress progress);

 private:
  class Job;  // loop_jobs.cc
  class AdminJob;
  class RowsJob;
  class PieceJob;
  class LoadJob;
  class RecoveryJob;
  void run();
  // What the sockets are ready for: all of it is read before any of it is judged, and judged before any of it is answered; a
  // few hundred at a time where there are more.
  void await_sockets();
  void serve_sockets();
  bool note_ready();
  void resume_revisited();
  void take_tickets();
  void sweep();
  void schedule_sweep();
  void end_if_drained();
  void touch(Connection& connection);
  void work_touched();
  // Judges what was asked and sends what is ready.
  void answer_questions();
  void turn() {
    if (metrics_) metrics_->turn();
  }

  Services& services_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<Executor> work_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      sweep_timer_;
  // Tickets that came back: pushed by the committer (release), taken whole by the loop (acquire).
  std::atomic<engine::Ticket*> returned_{nullptr};
  // Calls of deliver() under way; the loop's memory outlives them.
  std::atomic<unsigned> deliveries_{0};
  const std::unique_ptr<LoopMetrics> metrics_;
  VerifyPlane verify_plane_;
  std::vector<char> scratch_;
  std::vector<Exchange*> spare_exchanges_;
  std::size_t exchanges_ = 0;  // taken
  std::vector<Connection*> touched_;
  Connection* first_connection_ = nullptr;
  std::size_t connection_count_ = 0;
  std::int64_t tick_ms_ = 0;
  std::optional<engine::UnixMillis> now_;
  std::atomic<std::uint64_t> turns_{0};  // written by the loop alone; relaxed, since it only counts
  std::int64_t drain_deadline_ms_ = 0;
  bool draining_ = false;
  SocketEvents events_;
  boost::asio::posix::basic_stream_descriptor<Executor> events_ready_;
  std::vector<Connection*> revisited_;
  std::vector<Connection*> resuming_, working_;  // scratch
  bool serving_ = false;                         // or about to: revisited connections need no other call
  std::thread thread_;
};

}  // namespace watchword::api
