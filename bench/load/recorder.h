// What one thread of a run counts. The thread writes; any other may read at any time.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "bench/load/histogram.h"
#include "bench/load/mix.h"

namespace watchword::load {

enum class Outcome : std::uint8_t {
  accepted,
  rejected,
  replayed,
  locked,
  no_device,
  registered,
  confirmed,
  answered,     // by a target that answers the same to everything
  late,         // the code's time was over when the answer came: neither answer is wrong
  used_before,  // a code that was used up before this run began, as far as can be known
  overloaded,   // 503 or 429
  broken,       // the connection ended before the answer
  timed_out,
  wrong,  // what must not be answered
};
inline constexpr std::size_t outcomes = 14;
std::string_view name_of(Outcome outcome);
// Nobody was served: neither a verdict nor a registration.
constexpr bool is_error(Outcome outcome) {
  return outcome >= Outcome::overloaded;
}

struct KindRecord {
  Histogram response;  // from the moment at which the request was due to the answer
  Histogram service;   // from the moment at which it was sent to the answer
  // Of a batch each item has an outcome of its own.
  std::array<std::atomic<std::uint64_t>, outcomes> results{};
  std::atomic<std::uint64_t> skipped{0};  // due, but nobody had a fresh code

  std::uint64_t result(Outcome outcome) const {
    return results[static_cast<std::size_t>(outcome)].load(std::memory_order_relaxed);
  }
  void add(const KindRecord& other);
};

struct Recorder {
  std::array<KindRecord, kinds> of;
  Histogram lag;      // how late we ourselves sent: after both the request was due and a connection was free
  Histogram connect;  // from opening to the end of the handshake
  std::atomic<std::uint64_t> unsent{0};
  std::atomic<std::uint64_t> connections_opened{0};
  std::atomic<std::uint64_t> connections_failed{0};
  std::atomic<std::int64_t> cpu_ns{0};          // of the thread, over the measured time
  std::atomic<std::int64_t> last_answer_ns{0};  // steady; of what was due in the measured time

  KindRecord& operator[](Kind kind) { return of[static_cast<std::size_t>(kind)]; }
  const KindRecord& operator[](Kind kind) const { return of[static_cast<std::size_t>(kind)]; }
  void count(Kind kind, Outcome outcome);
  void add(const Recorder& other);

  Histogram responses() const;
  Histogram services() const;
  std::uint64_t results(Outcome outcome) const;
};

// One more, by the only thread that writes it.
template <class Number>
void count_one(std::atomic<Number>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace watchword::load
