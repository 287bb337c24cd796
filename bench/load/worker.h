// One thread of a run: its connections, its requests, its share of the schedule. Never blocks but in epoll.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/ledger.h"
#include "bench/load/options.h"
#include "bench/load/recorder.h"
#include "bench/load/requests.h"
#include "bench/load/transport.h"

namespace watchword::load {

// Of std::chrono::steady_clock.
std::int64_t steady_ns();

// When what begins; the same for all threads.
struct Timeline {
  std::int64_t begin_ns = 0;    // the first request
  std::int64_t measure_ns = 0;  // what was due earlier is warm-up: checked, but not counted
  std::int64_t end_ns = 0;      // nothing is due any more
  std::int64_t wall_ms_at_begin = 0;

  std::int64_t wall_ms(std::int64_t now_ns) const { return wall_ms_at_begin + (now_ns - begin_ns) / 1'000'000; }
};

class Worker {
 public:
  Worker(const Options& options, const Target& target, SSL_CTX* tls, Requests requests, Ledger& ledger, Recorder& recorder,
         unsigned thread);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Opens all connections, a bounded number at a time. False: not one could be opened.
  bool connect();
  void run(const Timeline& timeline);

 private:
  // More at a time overflow a listener's backlog, and a lost SYN costs a second.
  static constexpr std::size_t opening_max = 100;
  static constexpr std::int64_t sweep_every_ns = 20'000'000;

  struct Connection {
    Transport transport;
    std::string in;
    std::string out;
    std::size_t out_begin = 0;
    std::deque<Asked> asked;
    std::uint64_t asked_in_all = 0;  // on this socket
    std::int64_t since_ns = 0;       // open: its slot is free since; opening: opening since; closed: to be opened at
    enum class State : std::uint8_t { closed, opening, open } state = State::closed;
    std::int64_t opened_ns = 0;
    bool watches_write = false;
    bool waits_for_work = false;      // in free_
    bool asks_when_writable = false;  // in bunches: at the next look at all connections, not at once
  };

  // worker_connections.cc
  void open(std::size_t index);
  void go_on_opening(std::size_t index);
  void drop(std::size_t index, Outcome why);
  void watch(std::size_t index, bool write);
  void flush(std::size_t index);

  void handle(std::size_t index, std::uint32_t events);
  void read(std::size_t index);
  std::size_t take_answers(std::size_t index, std::string_view in, bool& dropped);
  void answered(Connection& connection, const HttpAnswer& answer);
  void fill(std::size_t index);
  bool may_ask(const Connection& connection) const;
  bool ask(Connection& connection, Kind kind, std::int64_t intended_ns);
  bool ask_next(Connection& connection, std::int64_t intended_ns);
  void offer(std::size_t index);
  void dispatch_due();
  void sweep();
  void wait(std::int64_t until_ns);
  void sleep_out_tick();
  bool measured(std::int64_t due_ns) const { return due_ns >= timeline_.measure_ns; }

  const Options* options_;
  const Target* target_;
  SSL_CTX* tls_;
  Requests requests_;
  Ledger* ledger_;
  Recorder* recorder_;
  unsigned thread_;
  Timeline timeline_;
  std::optional<Schedule> schedule_;
  int epoll_;
  std::int64_t now_ns_ = 0;
  std::int64_t looked_ns_ = 0;  // when it last looked at its connections
  bool running_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<std::size_t> free_;  // connections that can take a request: those of an open loop, or that found no fresh code
  std::size_t opening_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t next_kind_ = 0;
  std::vector<char> buffer_;
  AnswerParser parser_;
};

}  // namespace watchword::load
