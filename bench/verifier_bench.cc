// One verification in memory, everything included, among many users at random: look-up, charge, three HMACs, compare, claim,
// enqueue.
#include <benchmark/benchmark.h>
#include <liboath/oath.h>
#include <sched.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/discarding_store.h"
#include "engine/engine.h"
#include "engine/words.h"

namespace watchword::bench {
namespace {

using namespace engine;

constexpr UnixMillis now{1'700'000'010'000};

std::string name_of(std::size_t i) {
  return "user" + std::to_string(i) + "@example.org";
}
std::vector<std::uint8_t> secret_of(std::size_t i) {
  std::vector<std::uint8_t> secret(20);
  for (std::size_t k = 0; k < 20; ++k) secret[k] = static_cast<std::uint8_t>((i >> (8 * (k % 4))) + k);
  return secret;
}

class DroppingSink : public TicketSink {
 public:
  void deliver(Ticket*) noexcept override {}
};

// Who is there, and how widely their codes are looked for.
struct Estate {
  std::size_t users = 1;
  unsigned devices = 1;  // of each
  unsigned window_steps = 1;
  bool operator==(const Estate&) const = default;
};

// Lockout is far away here: the cost of a guess is measured, not its refusal.
Policy patient(const Estate& estate) {
  Policy policy;
  policy.window_steps = estate.window_steps;
  policy.lockout.failures = 1'000'000;
  policy.lockout.hard_failures = 1'000'000;
  return policy;
}

struct World {
  RcuThread rcu;
  DiscardingStore store;
  Engine engine;
  DroppingSink sink;
  Producer& producer{engine.committer.add_producer(&sink)};
  const std::size_t users;
  explicit World(const Estate& estate) : engine(store, patient(estate)), users(estate.users) {
    for (std::size_t i = 0; i < users; ++i) {
      LoadedUser user;
      user.record.user = name_of(i);
      user.record.number = {i + 1};
      for (unsigned k = 0; k < estate.devices; ++k) {
        DeviceRecord device;
        device.id = {i * 16 + k + 1};
        device.slot = k + 1;
        device.name = "phone";
        device.status = DeviceStatus::active;
        device.secret = SecretBytes(secret_of(i + k * users));
        user.record.devices.push_back(std::move(device));
        user.replay.emplace_back();
      }
      engine.directory.put(user);
    }
  }
};

enum class Past : std::uint8_t { any, none };  // of the users: what earlier benchmarks asked them

World& world(const Estate& estate, Past past = Past::any) {
  static std::unique_ptr<World> held;
  static Estate held_estate;
  if (!held || held_estate != estate || past == Past::none) {
    held.reset();
    held = std::make_unique<World>(estate);
    held_estate = estate;
  }
  return *held;
}
World& world(std::size_t users, Past past = Past::any) {
  return world(Estate{.users = users}, past);
}

// Names in the order of asking stand one after another, as they would come out of sockets: close at hand, unlike the users.
class Order {
 public:
  // `count`: a power of two.
  Order(const World& world, std::size_t count, unsigned seed) : spans_(count) {
    std::mt19937_64 random(seed);
    for (auto& [at, bytes] : spans_) {
      const std::string name = name_of(random() % world.users);
      at = static_cast<std::uint32_t>(text_.size());
      bytes = static_cast<std::uint32_t>(name.size());
      text_ += name;
    }
  }
  std::string_view operator[](std::size_t i) const {
    const auto [at, bytes] = spans_[i & (spans_.size() - 1)];
    return std::string_view(text_).substr(at, bytes);
  }

 private:
  std::string text_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> spans_;
};
constexpr std::size_t order_length = 1 << 20;
constexpr std::size_t kick_every = 256;

// As a loop does after a round (api/verify_plane.cc): cells that nobody waits for may lie for a while. Here they come fifty
// times as fast, so a ring that is half full is handed over too.
void hand_over(World& w, Producer& producer) {
  producer.publish();
  const bool urgent = producer.take_urgent();
  w.engine.committer.kick(urgent || !producer.has_room(Producer::capacity / 2));
}

// What a loop does when the ring is full is to answer 503; here the answer is waited for.
Next ask(World& w, Producer& producer, const VerifyRequest& request, UnixMillis when, Ticket& ticket, Verdict& verdict) {
  Next next;
  while ((next = w.engine.verifier.verify(request, when, producer, ticket, verdict)) == Next::overloaded) {
    hand_over(w, producer);
    std::this_thread::yield();
  }
  return next;
}

void wrong_codes(benchmark::State& state, const Estate& estate) {
  World& w = world(estate);
  const Order order(w, order_length, 1);
  std::size_t i = 0;
  Ticket ticket;
  Verdict verdict;
  for (auto _ : state) {
    ask(w, w.producer, {.user = order[i++], .code = {123456, 6}}, now, ticket, verdict);
    if (i % kick_every == 0) hand_over(w, w.producer);
  }
  hand_over(w, w.producer);
  state.SetItemsProcessed(state.iterations());
}
void wrong_code(benchmark::State& state) {
  wrong_codes(state, {.users = static_cast<std::size_t>(state.range(0))});
}
BENCHMARK(wrong_code)->Arg(1)->Arg(10'000)->Arg(100'000)->Arg(1'000'000);

// How the cost grows: with the users (the last one takes a while to make), with the devices of each, with the window.
void growth_users(benchmark::State& state) {
  wrong_codes(state, {.users = static_cast<std::size_t>(state.range(0))});
}
BENCHMARK(growth_users)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000);
void growth_devices(benchmark::State& state) {
  wrong_codes(state, {.users = 10'000, .devices = static_cast<unsigned>(state.range(0))});
}
BENCHMARK(growth_devices)->DenseRange(1, 8);
void growth_window(benchmark::State& state) {
  wrong_codes(state, {.users = 10'000, .window_steps = static_cast<unsigned>(state.range(0))});
}
BENCHMARK(growth_window)->DenseRange(0, 10);

void wrong_code_in_batches(benchmark::State& state) {
  World& w = world(static_cast<std::size_t>(state.range(0)));
  const Order order(w, order_length, 2);
  constexpr std::size_t batch = 100;
  std::vector<Ticket> tickets(batch);
  std::vector<Verdict> verdicts(batch);
  std::vector<BatchItem> items(batch);
  std::size_t i = 0;
  for (auto _ : state) {
    for (std::size_t k = 0; k < batch; ++k) {
      items[k] = {.request = {.user = order[i++], .code = {123456, 6}}, .ticket = &tickets[k], .verdict = &verdicts[k]};
    }
    w.engine.verifier.verify_batch(items, now, w.producer);
    if (items.back().next == Next::overloaded) state.SkipWithError("the ring was full");
    if (i % (2 * batch) == 0) {
      hand_over(w, w.producer);
      while (!w.producer.has_room(2 * batch)) std::this_thread::yield();
    }
  }
  hand_over(w, w.producer);
  state.SetItemsProcessed(static_cast<std::int64_t>(i));
}
BENCHMARK(wrong_code_in_batches)->Arg(10'000)->Arg(100'000)->Arg(1'000'000);

// Every code is right and fresh, its user not asked before. The codes are computed outside the measured time, a stretch at a
// time.
void accepted_code(benchmark::State& state) {
  constexpr std::size_t users = 1'000'000, stretch = 4096;
  constexpr std::size_t stride = 611'953;  // coprime to the number of users: visits all before any twice
  World& w = world(users, Past::none);
  Ticket ticket;
  Verdict verdict;
  std::vector<Code> codes(stretch);
  std::vector<std::string> names(stretch);
  std::size_t at = stretch, asked = 0;
  for (auto _ : state) {
    if (at == stretch) {
      state.PauseTiming();
      hand_over(w, w.producer);
      while (!w.producer.has_room(Producer::capacity)) std::this_thread::yield();
      for (std::size_t k = 0; k < stretch; ++k, ++asked) {
        const std::size_t user = asked * stride % users;
        names[k] = name_of(user);
        codes[k] = *Code::parse(totp({}, secret_of(user), now));
      }
      at = 0;
      state.ResumeTiming();
    }
    ask(w, w.producer, {.user = names[at], .code = codes[at]}, now, ticket, verdict);
    if (verdict.result != Result::accepted) state.SkipWithError("a right code was refused");
    if (++at % kick_every == 0) hand_over(w, w.producer);
  }
  hand_over(w, w.producer);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(accepted_code)->Iterations(900'000);

void replayed_code(benchmark::State& state) {
  World& w = world(1);
  Ticket ticket;
  Verdict verdict;
  const Code code = *Code::parse(totp({}, secret_of(0), now));
  const std::string name = name_of(0);
  const VerifyRequest request{.user = name, .code = code};
  ask(w, w.producer, request, now, ticket, verdict);
  for (auto _ : state) {
    ask(w, w.producer, request, now, ticket, verdict);
    if (verdict.result != Result::replayed) state.SkipWithError("not replayed");
  }
  hand_over(w, w.producer);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(replayed_code);

// While it lives, all threads of this process are on as many cores, the committer's among them: beside two threads on two
// cores one thread shall not have another core for its commits.
class OnCores {
 public:
  explicit OnCores(int count) {
    if (sched_getaffinity(0, sizeof allowed_, &allowed_) != 0) CPU_ZERO(&allowed_);
    cpu_set_t few;
    CPU_ZERO(&few);
    for (std::size_t core = 0; core < CPU_SETSIZE && CPU_COUNT(&few) < count; ++core) {
      if (CPU_ISSET(core, &allowed_)) CPU_SET(core, &few);
    }
    move_all_to(few);
  }
  ~OnCores() { move_all_to(allowed_); }
  OnCores(const OnCores&) = delete;
  OnCores& operator=(const OnCores&) = delete;

 private:
  static void move_all_to(const cpu_set_t& cores) {
    if (CPU_COUNT(&cores) == 0) return;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
      sched_setaffinity(static_cast<pid_t>(std::stol(thread.path().filename().string())), sizeof cores, &cores);
    }
  }
  cpu_set_t allowed_;
};

// One or two threads on different users, or on one and the same. Real time: what the machine does in a second.
void threads(benchmark::State& state, std::size_t users) {
  static World* shared;
  static Producer* producers[2];
  if (state.thread_index() == 0) {
    shared = &world(users);
    for (Producer*& producer : producers) producer = &shared->engine.committer.add_producer(&shared->sink);
  }
  std::size_t i = 0;
  Ticket ticket;
  Verdict verdict;
  std::unique_ptr<Order> order;
  std::unique_ptr<RcuThread> rcu;
  const std::optional<OnCores> one_core = state.threads() == 1 ? std::optional<OnCores>(std::in_place, 1) : std::nullopt;
  if (state.thread_index() != 0) rcu = std::make_unique<RcuThread>();
  for (auto _ : state) {
    if (!order) {
      state.PauseTiming();
      order = std::make_unique<Order>(*shared, 1 << 16, 3 + static_cast<unsigned>(state.thread_index()));
      state.ResumeTiming();
    }
    Producer& producer = *producers[state.thread_index()];
    ask(*shared, producer, {.user = (*order)[i++], .code = {123456, 6}}, now, ticket, verdict);
    if (i % kick_every == 0) hand_over(*shared, producer);
  }
  hand_over(*shared, *producers[state.thread_index()]);
  state.SetItemsProcessed(state.iterations());
}
void different_users(benchmark::State& state) {
  threads(state, 100'000);
}
void the_same_user(benchmark::State& state) {
  threads(state, 1);
}
BENCHMARK(different_users)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(the_same_user)->Threads(1)->Threads(2)->UseRealTime();

void liboath_wrong_code(benchmark::State& state) {
  const auto secret = secret_of(7);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        oath_totp_validate(reinterpret_cast<const char*>(secret.data()), secret.size(), now.seconds(), 30, 0, 1, "000000"));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(liboath_wrong_code);

}  // namespace
}  // namespace watchword::bench
