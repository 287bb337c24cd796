// Load for bench/overload.py: an open loop over pipelined connections that goes on sending whatever comes back, and keeps
// the times of answers and refusals apart, each from the moment when its request was due.
//
//   watchword-overload-load KIND PORT SECRETS USED PERIOD_S FIRST PHASES CONNECTIONS PIPELINE    with the API key in WW_KEY
//
// KIND: `wrong` or `accepted` codes of user0@example.org and so on, one after the other from user FIRST on, round and round.
// SECRETS: a file of their secrets, 20 bytes each (SHA1, six digits). USED: a file that keeps, for `accepted`, the last step
// that each gave the code of, four bytes each: the runs after each other use no code twice. PHASES: `RATE:SECONDS`, or
// several with commas between, which follow one another without a pause. Prints one JSON object; of each phase what was due
// in it.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/load/histogram.h"
#include "bench/overload_requests.h"

namespace {

using watchword::bench::FreshCodes;
using watchword::bench::Requests;
using watchword::bench::WrongCodes;
using watchword::load::Histogram;

using Clock = std::chrono::steady_clock;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

void print(const char* name, const Histogram& times) {
  const auto ms = [](std::int64_t ns) { return static_cast<double>(ns) / 1e6; };
  std::printf("\"%s\":{\"count\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p99.9_ms\":%.3f,\"max_ms\":%.3f}", name,
              static_cast<unsigned long long>(times.count()), ms(times.percentile(0.5)), ms(times.percentile(0.99)),
              ms(times.percentile(0.999)), ms(times.max()));
}

// What was due in it, whenever it was answered.
struct Phase {
  static constexpr std::int64_t none = -1;
  double rate = 0, seconds = 0;
  std::uint64_t sent = 0, outstanding = 0, other = 0, without_retry_after = 0, accepted = 0, rejected = 0;
  Histogram answered, refused;
  Histogram cycles;                 // from one sending to the next: what the load program adds to those times itself
  std::uint64_t judged_within = 0;  // its time
  std::int64_t begin_ns = 0, end_ns = 0, last_refused_ns = none;  // the last: when it was due, from the beginning on
};

struct Request {
  std::int64_t due_ns;
  Phase* phase;
};

struct Connection {
  int socket = -1;
  std::string out, in;
  std::size_t out_sent = 0;
  std::deque<Request> unanswered;
};

int connect_to(std::uint16_t port) {
  const int made = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (made < 0 || connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
  }
  const int on = 1;
  setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return made;
}

class Load {
 public:
  Load(std::uint16_t port, Requests& requests, std::size_t connections, std::size_t pipeline, std::uint64_t first)
      : requests_(requests), pipeline_(pipeline), next_(first), connections_(connections), poll_(epoll_create1(0)) {
    for (Connection& connection : connections_) {
      connection.socket = connect_to(port);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &connection;
      epoll_ctl(poll_, EPOLL_CTL_ADD, connection.socket, &event);
    }
  }

  void run(std::vector<Phase>& phases) {
    prctl(PR_SET_TIMERSLACK, 1UL);  // or the kernel wakes it 50 microseconds late
    std::int64_t now = now_ns(), begin = now;
    const auto cycle = [&] {
      receive();
      sleep_out(now);
      return std::exchange(now, now_ns());
    };
    for (Phase& phase : phases) {
      phase.begin_ns = begin;
      phase.end_ns = begin + static_cast<std::int64_t>(phase.seconds * 1e9);
      while (now < phase.end_ns) {
        send_due(phase, now);
        const std::int64_t before = cycle();
        phase.cycles.record(now - before);
      }
      send_due(phase, phase.end_ns);  // what fell due during the last cycle
      begin = phase.end_ns;
    }
    while (outstanding(phases) && now < begin + 2'000'000'000) {
      for (Connection& connection : connections_) flush(connection);
      cycle();
    }
  }

  void print(const std::vector<Phase>& phases) const {
    std::printf("{\"next\":%llu", static_cast<unsigned long long>(next_));
    for (const Phase& phase : phases) {
      const auto number = [](const char* name, std::uint64_t value) {
        std::printf("\"%s\":%llu,", name, static_cast<unsigned long long>(value));
      };
      std::printf("%s{\"seconds\":%.1f,", &phase == phases.data() ? ",\"phases\":[" : ",", phase.seconds);
      number("offered", static_cast<std::uint64_t>(phase.rate * phase.seconds));
      number("sent", phase.sent);
      number("unanswered", phase.outstanding);
      number("other", phase.other);
      number("without_retry_after", phase.without_retry_after);
      number("accepted", phase.accepted);
      number("rejected", phase.rejected);
      number("judged_within", phase.judged_within);
      if (phase.last_refused_ns != Phase::none) {
        std::printf("\"last_refused_s\":%.6f,", static_cast<double>(phase.last_refused_ns) / 1e9);
      }
      ::print("own_cycle", phase.cycles);
      std::printf(",");
      ::print("answered", phase.answered);
      std::printf(",");
      ::print("refused", phase.refused);
      std::printf("}");
    }
    std::printf("]}\n");
  }

 private:
  static bool outstanding(const std::vector<Phase>& phases) {
    return std::any_of(phases.begin(), phases.end(), [](const Phase& phase) { return phase.outstanding > 0; });
  }

  // With a full pipeline everywhere the rest is late, and its time runs: from then on it counts as sent when it was due.
  void send_due(Phase& phase, std::int64_t now) {
    const bool ceiling = phase.rate >= ceiling_rate;
    const auto due = static_cast<std::uint64_t>(static_cast<double>(now - phase.begin_ns) * phase.rate / 1e9);
    std::size_t full = 0;
    while (phase.sent < due && full < connections_.size()) {
      Connection& connection = connections_[turn_++ % connections_.size()];
      if (connection.unanswered.size() >= pipeline_) {
        ++full;
        continue;
      }
      full = 0;
      requests_.append(next_++, connection.out);
      const auto due_ns = phase.begin_ns + static_cast<std::int64_t>(static_cast<double>(phase.sent) * 1e9 / phase.rate);
      connection.unanswered.push_back({.due_ns = ceiling ? now : due_ns, .phase = &phase});
      ++phase.sent;
      ++phase.outstanding;
    }
    for (Connection& connection : connections_) flush(connection);
  }

  // A core that is never idle takes from the server's, where a host shares out what both have.
  static void sleep_out(std::int64_t cycle_began_ns) {
    constexpr std::int64_t tick_ns = 100'000;
    const std::int64_t until_ns = cycle_began_ns + tick_ns;
    const timespec until{until_ns / 1'000'000'000, until_ns % 1'000'000'000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }

  void flush(Connection& connection) {
    if (connection.out_sent == connection.out.size()) return;
    const ssize_t took = send(connection.socket, connection.out.data() + connection.out_sent,
                              connection.out.size() - connection.out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (took < 0 && errno != EAGAIN) throw std::runtime_error(std::string("cannot send: ") + std::strerror(errno));
    if (took > 0) connection.out_sent += static_cast<std::size_t>(took);
    if (connection.out_sent < connection.out.size()) return;
    connection.out.clear();
    connection.out_sent = 0;
  }

  void receive() {
    epoll_event events[256];
    const int ready = epoll_wait(poll_, events, 256, 0);
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      const ssize_t got = recv(connection.socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (got == 0) throw std::runtime_error("the server closed a connection");
      if (got < 0) continue;
      connection.in.append(buffer_.data(), static_cast<std::size_t>(got));
      take_answers(connection, now_ns());
    }
  }

  void take_answers(Connection& connection, std::int64_t now) {
    std::string_view in = connection.in;
    for (;;) {
      const std::size_t head = in.find("\r\n\r\n");
      if (head == std::string_view::npos) break;
      const std::string_view lines = in.substr(0, head + 2);
      const std::size_t length_at = lines.find("ontent-Length: ");
      if (length_at == std::string_view::npos) throw std::runtime_error("an answer without Content-Length");
      const std::size_t bytes = head + 4 + std::strtoul(lines.data() + length_at + 15, nullptr, 10);
      if (in.size() < bytes) break;
      const Request& request = connection.unanswered.front();
      count(request, lines, in.substr(head + 4, bytes - head - 4), now);
      connection.unanswered.pop_front();
      in.remove_prefix(bytes);
    }
    connection.in.erase(0, connection.in.size() - in.size());
  }

  static void count(const Request& request, std::string_view head, std::string_view body, std::int64_t now) {
    Phase& phase = *request.phase;
    const std::int64_t ns = now - request.due_ns;
    --phase.outstanding;
    const std::string_view status = head.substr(9, 3);
    if (status == "200") {
      phase.answered.record(ns);
      const bool accepted = body.find("\"accepted\"") != std::string_view::npos;
      const bool rejected = !accepted && body.find("\"rejected\"") != std::string_view::npos;
      phase.accepted += accepted;
      phase.rejected += rejected;
      phase.judged_within += (accepted || rejected) && now < phase.end_ns;
    } else if (status == "503") {
      phase.refused.record(ns);
      phase.last_refused_ns = std::max(phase.last_refused_ns, request.due_ns - phase.begin_ns);
      phase.without_retry_after += head.find("etry-After: ") == std::string_view::npos;
    } else {
      ++phase.other;
    }
  }

  // A rate that nobody reaches asks for the ceiling: the pipelines are kept full, and time runs from the sending.
  static constexpr double ceiling_rate = 5e6;
  Requests& requests_;
  const std::size_t pipeline_;
  std::uint64_t next_;  // request
  std::size_t turn_ = 0;
  std::vector<Connection> connections_;
  const int poll_;
  std::vector<char> buffer_ = std::vector<char>(1 << 18);
};

// `RATE:SECONDS[,RATE:SECONDS...]`
std::vector<Phase> phases_of(const char* text) {
  std::vector<Phase> phases;
  for (;;) {
    char* end = nullptr;
    Phase& phase = phases.emplace_back();
    phase.rate = std::strtod(text, &end);
    if (*end != ':') throw std::runtime_error("PHASES: RATE:SECONDS, with commas between");
    phase.seconds = std::strtod(end + 1, &end);
    if (phase.rate <= 0 || phase.seconds <= 0) throw std::runtime_error("PHASES: both are above zero");
    if (*end == '\0') return phases;
    if (*end != ',') throw std::runtime_error("PHASES: RATE:SECONDS, with commas between");
    text = end + 1;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const char* const key = std::getenv("WW_KEY");
  const std::string_view kind = count == 10 ? arguments[1] : "";
  if ((kind != "wrong" && kind != "accepted") || key == nullptr) {
    std::fprintf(stderr,
                 "usage: WW_KEY=... %s wrong|accepted PORT SECRETS USED PERIOD_S FIRST PHASES CONNECTIONS PIPELINE\n",
                 arguments[0]);
    return 2;
  }
  try {
    const std::uint64_t period_s = std::stoul(arguments[5]);
    std::unique_ptr<Requests> requests;
    if (kind == "wrong") {
      requests = std::make_unique<WrongCodes>(arguments[3], period_s, key);
    } else {
      requests = std::make_unique<FreshCodes>(arguments[3], arguments[4], period_s, key);
    }
    std::vector<Phase> phases = phases_of(arguments[7]);
    Load load(static_cast<std::uint16_t>(std::stoul(arguments[2])), *requests, std::stoul(arguments[8]),
              std::stoul(arguments[9]), std::stoul(arguments[6]));
    load.run(phases);
    load.print(phases);
    return 0;
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return 1;
  }
}
