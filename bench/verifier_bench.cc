// One verification in memory, everything included, among many users at random: look-up, charge, three HMACs, compare, claim,
// enqueue.
#include <benchmark/benchmark.h>
#include <liboath/oath.h>

#include <memory>
#include <random>
#include <string>
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

// Lockout is far away here: the cost of a guess is measured, not its refusal.
Policy patient() {
  Policy policy;
  policy.lockout.failures = 1'000'000;
  policy.lockout.hard_failures = 1'000'000;
  return policy;
}

struct World {
  RcuThread rcu;
  DiscardingStore store;
  Engine engine{store, patient()};
  DroppingSink sink;
  Producer& producer{engine.committer.add_producer(&sink)};
  std::vector<std::string> names;
  explicit World(std::size_t users) {
    for (std::size_t i = 0; i < users; ++i) {
      names.push_back(name_of(i));
      LoadedUser user;
      user.record.user = names.back();
      user.record.number = {i + 1};
      DeviceRecord device;
      device.id = {i + 1};
      device.slot = 1;
      device.name = "phone";
      device.status = DeviceStatus::active;
      device.secret = SecretBytes(secret_of(i));
      user.record.devices.push_back(std::move(device));
      user.replay.emplace_back();
      engine.directory.put(user);
    }
  }
};

World& world(std::size_t users) {
  static std::unique_ptr<World> held;
  static std::size_t held_users = 0;
  if (held_users != users) {
    held.reset();
    held = std::make_unique<World>(users);
    held_users = users;
  }
  return *held;
}

void wrong_code(benchmark::State& state) {
  World& w = world(static_cast<std::size_t>(state.range(0)));
  // Names stand one after another in the order of asking, as they would come out of sockets: close at hand, unlike the
  // users.
  std::mt19937_64 random(1);
  std::string text;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order(1 << 20);
  for (auto& [at, bytes] : order) {
    const std::string& name = w.names[random() % w.names.size()];
    at = static_cast<std::uint32_t>(text.size());
    bytes = static_cast<std::uint32_t>(name.size());
    text += name;
  }
  std::size_t i = 0;
  Ticket ticket;
  Verdict verdict;
  for (auto _ : state) {
    const auto [at, bytes] = order[i++ % order.size()];
    const VerifyRequest request{.user = std::string_view(text).substr(at, bytes), .code = {123456, 6}};
    while (w.engine.verifier.verify(request, now, w.producer, ticket, verdict) == Next::overloaded) {
      w.producer.publish();
      w.engine.committer.kick();
      std::this_thread::yield();
    }
    if (i % 64 == 0) {
      w.producer.publish();
      w.engine.committer.kick();
    }
  }
  w.producer.publish();
  w.engine.committer.kick();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(wrong_code)->Arg(1)->Arg(10'000)->Arg(1'000'000);

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
