#include "bench/load/recorder.h"

#include <algorithm>

namespace watchword::load {
namespace {

constexpr std::array<std::string_view, outcomes> names = {"accepted",   "rejected",  "replayed",  "locked", "no_device",
                                                          "registered", "confirmed", "answered",  "late",   "used_before",
                                                          "overloaded", "broken",    "timed_out", "wrong"};

template <class Number>
void add_to(std::atomic<Number>& counter, const std::atomic<Number>& more) {
  counter.store(counter.load(std::memory_order_relaxed) + more.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  return names[static_cast<std::size_t>(outcome)];
}

void KindRecord::add(const KindRecord& other) {
  response.add(other.response);
  service.add(other.service);
  for (std::size_t i = 0; i < outcomes; ++i) add_to(results[i], other.results[i]);
  add_to(skipped, other.skipped);
}

void Recorder::count(Kind kind, Outcome outcome) {
  count_one((*this)[kind].results[static_cast<std::size_t>(outcome)]);
}

void Recorder::add(const Recorder& other) {
  for (std::size_t i = 0; i < kinds; ++i) of[i].add(other.of[i]);
  lag.add(other.lag);
  connect.add(other.connect);
  add_to(unsent, other.unsent);
  add_to(connections_opened, other.connections_opened);
  add_to(connections_failed, other.connections_failed);
  add_to(cpu_ns, other.cpu_ns);
  last_answer_ns.store(
      std::max(last_answer_ns.load(std::memory_order_relaxed), other.last_answer_ns.load(std::memory_order_relaxed)),
      std::memory_order_relaxed);
}

Histogram Recorder::responses() const {
  Histogram all;
  for (const KindRecord& kind : of) all.add(kind.response);
  return all;
}

Histogram Recorder::services() const {
  Histogram all;
  for (const KindRecord& kind : of) all.add(kind.service);
  return all;
}

std::uint64_t Recorder::results(Outcome outcome) const {
  std::uint64_t all = 0;
  for (const KindRecord& kind : of) all += kind.result(outcome);
  return all;
}

}  // namespace watchword::load
