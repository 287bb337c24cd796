// Load for bench/overload.py: an open loop over pipelined connections that goes on sending whatever comes back, and keeps
// the times of answers and refusals apart, each from the moment when its request was due.
//
//   watchword-overload-load KIND PORT SECRETS USED PERIOD_S FIRST RATE SECONDS CONNECTIONS PIPELINE    with the API key in
//   WW_KEY
//
// KIND: `wrong` or `accepted` codes of user0@example.org and so on, one after the other from user FIRST on, round and round.
// SECRETS: a file of their secrets, 20 bytes each (SHA1, six digits). USED: a file that keeps, for `accepted`, the last step
// that each gave the code of, four bytes each: the runs after each other use no code twice. Prints one JSON object.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/otp.h"

namespace {

namespace engine = watchword::engine;

using Clock = std::chrono::steady_clock;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

// Buckets of a microsecond up to a second, the last one open.
class Times {
 public:
  void add(std::int64_t ns) {
    const auto us = static_cast<std::size_t>(std::max<std::int64_t>(0, ns / 1000));
    ++buckets_[std::min(us, buckets_.size() - 1)];
    ++count_;
    max_us_ = std::max(max_us_, us);
  }
  std::uint64_t count() const { return count_; }
  std::size_t percentile_us(double share) const {
    std::uint64_t seen = 0;
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    for (std::size_t us = 0; us < buckets_.size(); ++us) {
      seen += buckets_[us];
      if (seen > wanted) return us;
    }
    return max_us_;
  }
  void print(const char* name) const {
    std::printf("\"%s\":{\"count\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p99.9_ms\":%.3f,\"max_ms\":%.3f}", name,
                static_cast<unsigned long long>(count_), ms(0.5), ms(0.99), ms(0.999), static_cast<double>(max_us_) / 1000);
  }

 private:
  double ms(double share) const { return static_cast<double>(percentile_us(share)) / 1000; }
  std::vector<std::uint64_t> buckets_ = std::vector<std::uint64_t>(1'000'001);
  std::uint64_t count_ = 0;
  std::size_t max_us_ = 0;
};

struct Connection {
  int socket = -1;
  std::string out, in;
  std::size_t out_sent = 0;
  std::deque<std::int64_t> due_ns;  // of the requests without an answer yet
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

// A file of records of one size, in memory.
template <class Record>
class Records {
 public:
  Records(const char* file, bool writable) {
    const int opened = open(file, writable ? O_RDWR : O_RDONLY);
    const off_t bytes = opened < 0 ? -1 : lseek(opened, 0, SEEK_END);
    void* const at = bytes <= 0 ? MAP_FAILED
                                : mmap(nullptr, static_cast<std::size_t>(bytes),
                                       writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, opened, 0);
    if (opened >= 0) close(opened);
    if (at == MAP_FAILED) throw std::runtime_error(std::string("cannot read ") + file);
    records_ = {static_cast<Record*>(at), static_cast<std::size_t>(bytes) / sizeof(Record)};
  }
  std::size_t size() const { return records_.size(); }
  Record& operator[](std::size_t at) const { return records_[at]; }

 private:
  std::span<Record> records_;
};

using Secret = std::array<std::uint8_t, 20>;

// Requests of one person after the other.
class Requests {
 public:
  Requests(const char* secrets, std::uint64_t period_s, const std::string& key)
      : secrets_(secrets, false),
        period_s_(period_s),
        head_("POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
              "\r\nContent-Type: application/json\r\nContent-Length: ") {}
  virtual ~Requests() = default;
  virtual void append(std::uint64_t number, std::string& out) = 0;

 protected:
  std::size_t users() const { return secrets_.size(); }
  std::uint64_t step(std::uint64_t ahead_s = 0) const {
    return (static_cast<std::uint64_t>(time(nullptr)) + ahead_s) / period_s_;
  }
  std::uint32_t code(std::size_t user, std::uint64_t step) const {
    alignas(8) std::array<std::uint8_t, engine::key_state_bytes(engine::Algorithm::sha1)> state;
    engine::derive_key_state(engine::Algorithm::sha1, secrets_[user], state.data());
    std::uint32_t truncated = 0;
    engine::best_kernel().truncate(engine::Algorithm::sha1, state.data(), step, 1, &truncated);
    return truncated % codes;
  }
  void append_request(std::size_t user, std::uint32_t code, std::string& out) const {
    std::array<char, 64> body;
    const int bytes = std::snprintf(body.data(), body.size(), R"({"user":"user%zu@example.org","code":"%06u"})", user, code);
    out.append(head_).append(std::to_string(bytes)).append("\r\n\r\n").append(body.data(), static_cast<std::size_t>(bytes));
  }
  static constexpr std::uint32_t codes = 1'000'000;

 private:
  Records<const Secret> secrets_;
  const std::uint64_t period_s_;
  const std::string head_;
};

// The same for everybody each time, made ahead.
class WrongCodes : public Requests {
 public:
  WrongCodes(const char* secrets, std::uint64_t period_s, const std::string& key) : Requests(secrets, period_s, key) {
    const std::uint64_t now = step();
    for (std::size_t user = 0; user < users(); ++user) {
      append_request(user, (code(user, now) + codes / 2) % codes, made_.emplace_back());
    }
  }
  void append(std::uint64_t number, std::string& out) override { out += made_[number % made_.size()]; }

 private:
  std::vector<std::string> made_;
};

// The oldest code that is good and was not used.
class FreshCodes : public Requests {
 public:
  FreshCodes(const char* secrets, const char* used, std::uint64_t period_s, const std::string& key)
      : Requests(secrets, period_s, key), used_(used, true) {
    if (used_.size() != users()) throw std::runtime_error("not as many steps as secrets");
  }
  void append(std::uint64_t number, std::string& out) override {
    const std::size_t user = number % users();
    // Still good when it arrives.
    const std::uint64_t next = std::max(step(1) - 1, std::uint64_t{used_[user]} + 1);
    if (next > step() + 1) throw std::runtime_error("nobody has a code left that was not used: take more people");
    used_[user] = static_cast<std::uint32_t>(next);
    append_request(user, code(user, next), out);
  }

 private:
  Records<std::uint32_t> used_;
};

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

  void run(double rate, double seconds) {
    prctl(PR_SET_TIMERSLACK, 1UL);  // or the kernel wakes it 50 microseconds late
    const std::int64_t begin = now_ns(), end = begin + static_cast<std::int64_t>(seconds * 1e9);
    std::int64_t now = begin;
    ceiling_ = rate >= ceiling_rate;
    while (now < end || (outstanding_ > 0 && now < end + 2'000'000'000)) {
      if (now < end) send_due(begin, now, rate);
      receive();
      sleep_out(now);
      const std::int64_t before = std::exchange(now, now_ns());
      cycles_.add(now - before);
    }
    seconds_ = seconds;
    offered_ = static_cast<std::uint64_t>(rate * seconds);
  }

  void print() const {
    std::printf(
        "{\"seconds\":%.1f,\"offered\":%llu,\"sent\":%llu,\"unanswered\":%llu,\"other\":%llu,\"without_retry_after\":%llu,",
        seconds_, static_cast<unsigned long long>(offered_), static_cast<unsigned long long>(sent_),
        static_cast<unsigned long long>(outstanding_), static_cast<unsigned long long>(other_),
        static_cast<unsigned long long>(without_retry_after_));
    answered_.print("answered");
    std::printf(",");
    refused_.print("refused");
    std::printf(",");
    cycles_.print("own_cycle");
    std::printf(",\"accepted\":%llu,\"rejected\":%llu,\"next\":%llu}\n", static_cast<unsigned long long>(accepted_),
                static_cast<unsigned long long>(rejected_), static_cast<unsigned long long>(next_));
  }

 private:
  // With a full pipeline everywhere the rest is late, and its time runs: from then on it counts as sent when it was due.
  void send_due(std::int64_t begin, std::int64_t now, double rate) {
    const auto due = static_cast<std::uint64_t>(static_cast<double>(now - begin) * rate / 1e9);
    std::size_t full = 0;
    while (sent_ < due && full < connections_.size()) {
      Connection& connection = connections_[turn_++ % connections_.size()];
      if (connection.due_ns.size() >= pipeline_) {
        ++full;
        continue;
      }
      full = 0;
      requests_.append(next_++, connection.out);
      const auto due_ns = begin + static_cast<std::int64_t>(static_cast<double>(sent_) * 1e9 / rate);
      connection.due_ns.push_back(ceiling_ ? now : due_ns);
      ++sent_;
      ++outstanding_;
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
      count(lines, in.substr(head + 4, bytes - head - 4), now - connection.due_ns.front());
      connection.due_ns.pop_front();
      --outstanding_;
      in.remove_prefix(bytes);
    }
    connection.in.erase(0, connection.in.size() - in.size());
  }

  void count(std::string_view head, std::string_view body, std::int64_t ns) {
    const std::string_view status = head.substr(9, 3);
    if (status == "200") {
      answered_.add(ns);
      accepted_ += body.find("\"accepted\"") != std::string_view::npos;
      rejected_ += body.find("\"rejected\"") != std::string_view::npos;
    } else if (status == "503") {
      refused_.add(ns);
      without_retry_after_ += head.find("etry-After: ") == std::string_view::npos;
    } else {
      ++other_;
    }
  }

  // A rate that nobody reaches asks for the ceiling: the pipelines are kept full, and time runs from the sending.
  static constexpr double ceiling_rate = 5e6;
  bool ceiling_ = false;
  Requests& requests_;
  const std::size_t pipeline_;
  std::uint64_t next_;  // request
  std::size_t turn_ = 0;
  std::vector<Connection> connections_;
  const int poll_;
  std::vector<char> buffer_ = std::vector<char>(1 << 18);
  double seconds_ = 0;
  std::uint64_t offered_ = 0, sent_ = 0, outstanding_ = 0, other_ = 0, without_retry_after_ = 0, accepted_ = 0,
                rejected_ = 0;
  Times answered_, refused_;
  Times cycles_;  // from one sending to the next: what it adds to those times itself
};

}  // namespace

int main(int count, char** arguments) {
  const char* const key = std::getenv("WW_KEY");
  const std::string_view kind = count == 11 ? arguments[1] : "";
  if ((kind != "wrong" && kind != "accepted") || key == nullptr) {
    std::fprintf(stderr,
                 "usage: WW_KEY=... %s wrong|accepted PORT SECRETS USED PERIOD_S FIRST RATE SECONDS CONNECTIONS PIPELINE\n",
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
    Load load(static_cast<std::uint16_t>(std::stoul(arguments[2])), *requests, std::stoul(arguments[9]),
              std::stoul(arguments[10]), std::stoul(arguments[6]));
    load.run(std::stod(arguments[7]), std::stod(arguments[8]));
    load.print();
    return 0;
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return 1;
  }
}
