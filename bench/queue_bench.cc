// The way from a decision to the store: cells pushed, drained by the committer, and given back as tickets.
#include <benchmark/benchmark.h>

#include <atomic>
#include <thread>
#include <vector>

#include "bench/discarding_store.h"
#include "engine/committer.h"
#include "engine/words.h"

namespace watchword::bench {
namespace {

using namespace engine;

class CountingSink : public TicketSink {
 public:
  void deliver(Ticket* first) noexcept override {
    std::size_t count = 0;
    for (; first != nullptr; first = first->next) ++count;
    delivered_.fetch_add(count, std::memory_order_release);
    delivered_.notify_all();
  }
  void wait_for(std::size_t count) const {
    for (std::size_t seen = delivered_.load(); seen < count; seen = delivered_.load()) delivered_.wait(seen);
  }

 private:
  std::atomic<std::size_t> delivered_{0};
};

CellWrite cell_of(std::uint64_t i) {
  return {{{i}, 1}, {ReplayWord::make(static_cast<std::int64_t>(i), 0).bits, 0}};
}

// What a verifying thread pays: pushing, and publishing once a round of so many.
void queue_push(benchmark::State& state) {
  DiscardingStore store;
  Committer committer(store);
  Producer& producer = committer.add_producer(nullptr);
  const auto round = static_cast<std::uint64_t>(state.range(0));
  std::uint64_t i = 0;
  for (auto _ : state) {
    while (!producer.has_room(1)) std::this_thread::yield();
    producer.push(cell_of(++i), nullptr);
    if (i % round == 0) {
      producer.publish();
      committer.kick();
    }
  }
  producer.publish();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(queue_push)->Arg(1)->Arg(16)->Arg(256)->UseRealTime();

// There and back: a round of cells with tickets, until the last one has come back.
void queue_round_trip(benchmark::State& state) {
  DiscardingStore store;
  Committer committer(store);
  CountingSink sink;
  Producer& producer = committer.add_producer(&sink);
  const auto round = static_cast<std::size_t>(state.range(0));
  std::vector<Ticket> tickets(round);
  std::uint64_t i = 0;
  for (auto _ : state) {
    for (Ticket& ticket : tickets) producer.push(cell_of(++i), &ticket);
    producer.publish();
    committer.kick();
    sink.wait_for(i);
  }
  committer.stop();
  state.SetItemsProcessed(static_cast<std::int64_t>(i));
}
BENCHMARK(queue_round_trip)->Arg(1)->Arg(64)->Arg(256)->UseRealTime();

}  // namespace
}  // namespace watchword::bench
