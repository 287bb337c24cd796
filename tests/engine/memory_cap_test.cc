// Who leaves memory leaves nothing behind: used codes, charges and locks hold when they come back.
#include "engine/memory_cap.h"

#include <thread>

#include "engine/words.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

UserRecord stored_user(std::uint64_t number) {
  UserRecord user;
  user.user = "person." + std::to_string(number) + "@example.org";
  user.number = {number};
  DeviceRecord device;
  device.id = {number};
  device.slot = 1;
  device.name = "phone";
  device.status = DeviceStatus::active;
  device.secret = SecretBytes(std::vector<std::uint8_t>(20, static_cast<std::uint8_t>(number)));
  user.devices.push_back(std::move(device));
  user.next_slot = 2;
  return user;
}

// Small parts of memory, so that a few thousand people already crowd each other out.
class CrowdedEngine {
 public:
  static constexpr std::size_t bytes_max = 4 * mib;
  static constexpr std::uint64_t people = 60'000;  // more than twice what fits

  CrowdedEngine() {
    std::vector<UserRecord> users;
    for (std::uint64_t i = 1; i <= people; ++i) users.push_back(stored_user(i));
    store.put_bulk(users);
  }
  // Everybody is asked about once, as a scan of the whole estate would.
  void scan() {
    for (std::uint64_t i = 1; i <= people; ++i) {
      if (!engine.registrar.load(stored_user(i).user)) ADD_FAILURE() << "nobody called " << i;
      peak = std::max(peak, engine.directory.bytes());
    }
  }

  // Until the first few people have gone: others come, again and again.
  void crowd_out_the_first() {
    constexpr std::uint64_t first = 100;
    const auto anybody = [&] {
      for (std::uint64_t i = 1; i < first; ++i) {
        if (engine.directory.resident(stored_user(i).user)) return true;
      }
      return false;
    };
    for (int round = 0; round < 20 && anybody(); ++round) {
      for (std::uint64_t i = first; i <= people; ++i) engine.registrar.load(stored_user(i).user);
    }
    EXPECT_FALSE(anybody());
  }

  RcuThread rcu;
  MemoryStore store;
  Engine engine{store, Policy{}, best_kernel(), bytes_max};
  std::size_t peak = 0;
};

constexpr UnixMillis start{1'700'000'010'000};

Phone phone_of(std::uint64_t number) {
  return {{number}, {}, std::vector<std::uint8_t>(20, static_cast<std::uint8_t>(number))};
}

TEST(MemoryCap, HoldsWhileEverybodyIsAskedAboutOnce) {
  CrowdedEngine crowded;
  crowded.scan();
  crowded.scan();
  EXPECT_LE(crowded.peak, CrowdedEngine::bytes_max + mib);
  EXPECT_LT(crowded.engine.directory.size(), CrowdedEngine::people / 2);
  EXPECT_GT(crowded.engine.directory.evictions(), CrowdedEngine::people);
  EXPECT_EQ(crowded.engine.directory.loads() - crowded.engine.directory.evictions(), crowded.engine.directory.size());
}

TEST(MemoryCap, WithoutOneEverybodyStays) {
  const RcuThread rcu;
  MemoryStore store;
  Engine engine(store, Policy{});
  for (std::uint64_t i = 1; i <= 5000; ++i) store.put_bulk(std::vector{stored_user(i)});
  for (std::uint64_t i = 1; i <= 5000; ++i) engine.registrar.load(stored_user(i).user);
  EXPECT_EQ(engine.directory.size(), 5000u);
  EXPECT_EQ(engine.directory.evictions(), 0u);
}

TEST(MemoryCap, WhoIsUsedAllTheTimeStays) {
  CrowdedEngine crowded;
  Client client(crowded.engine);
  const std::string name = stored_user(7).user;
  std::size_t missing = 0;
  for (std::uint64_t i = 1; i <= CrowdedEngine::people; ++i) {
    crowded.engine.registrar.load(stored_user(i).user);
    if (i % 16 != 0) continue;
    if (i > 160 && !crowded.engine.directory.resident(name)) ++missing;
    client.verify(name, phone_of(7).code(start), start);
  }
  // Not a promise but the use of second chance: a crowd passes by, who is asked about in between hardly ever goes.
  EXPECT_LT(missing, CrowdedEngine::people / 16 / 10);
}

TEST(MemoryCap, AUsedCodeAndALockHoldForWhoWasAway) {
  CrowdedEngine crowded;
  Client client(crowded.engine);
  const std::string used = stored_user(1).user, locked = stored_user(2).user, charged = stored_user(3).user;
  EXPECT_EQ(client.result(used, phone_of(1).code(start), start), Result::accepted);
  for (unsigned i = 0; i < Lockout{}.failures; ++i) client.verify(locked, phone_of(2).wrong_code(start), start);
  for (unsigned i = 0; i < 3; ++i) client.verify(charged, phone_of(3).wrong_code(start), start, 4712);
  crowded.crowd_out_the_first();
  EXPECT_EQ(client.result(used, phone_of(1).code(start), start), Result::replayed);
  EXPECT_EQ(client.result(locked, phone_of(2).code(start), start), Result::locked);
  // One guess, two repetitions of it under the same request.
  const auto again = client.verify(charged, phone_of(3).wrong_code(start), start, 4712);
  EXPECT_TRUE(again.verdict.repeated);
  EXPECT_EQ(crowded.engine.registrar.get(*UserName::parse(charged), start)->failures, 1u);
}

TEST(MemoryCap, NobodyGoesWhoseCodeIsNotOnDiskYet) {
  CrowdedEngine crowded;
  WaitingSink sink;
  Producer& producer = crowded.engine.committer.add_producer(&sink);
  const std::string name = stored_user(1).user;
  ASSERT_TRUE(crowded.engine.registrar.load(name));
  crowded.store.hold();
  Ticket ticket;
  Verdict verdict;
  const VerifyRequest request{.user = name, .code = *Code::parse(phone_of(1).code(start))};
  ASSERT_EQ(crowded.engine.verifier.verify(request, start, producer, ticket, verdict), Next::await_commit);
  producer.publish();
  crowded.engine.committer.kick();
  // Others come until memory is full and stays so.
  std::uint64_t i = 2;
  try {
    while (i <= CrowdedEngine::people) crowded.engine.registrar.load(stored_user(i++).user);
    ADD_FAILURE() << "memory was never full";
  } catch (const StoreError&) {
  }
  EXPECT_TRUE(crowded.engine.directory.resident(name));
  crowded.store.release();
  sink.wait_for(1);
  EXPECT_EQ(ticket.outcome, Outcome::durable);
  crowded.scan();
  EXPECT_LE(crowded.peak, CrowdedEngine::bytes_max + mib);
  EXPECT_EQ(Client(crowded.engine).result(name, phone_of(1).code(start), start), Result::replayed);
}

TEST(MemoryCap, WhatAFailedWriteLostIsWrittenBeforeAnybodyGoes) {
  CrowdedEngine crowded;
  Client client(crowded.engine);
  const std::string name = stored_user(1).user;
  ASSERT_TRUE(crowded.engine.registrar.load(name));
  crowded.store.next_outcome = Outcome::failed;
  const auto lost = client.verify(name, phone_of(1).code(start), start);
  EXPECT_EQ(lost.outcome, Outcome::failed);
  crowded.store.next_outcome = Outcome::durable;
  crowded.crowd_out_the_first();
  EXPECT_EQ(client.result(name, phone_of(1).code(start), start), Result::replayed);
}

// Guesses and right codes from two threads while a third has everybody loaded: each step is accepted once, no charge is
// lost.
TEST(MemoryCap, CountsEveryChargeAndAcceptsEachStepOnceWhilePeopleComeAndGo) {
  CrowdedEngine crowded;
  constexpr std::uint64_t tried = 40;
  constexpr int rounds = 6;
  std::array<std::atomic<int>, tried + 1> accepted{}, wrong{};
  std::atomic<bool> done = false;
  crowded.scan();
  const std::uint64_t before = crowded.engine.directory.evictions();
  std::thread crowd([&] {
    const RcuThread rcu;
    for (std::uint64_t i = 1000; !done; i = i < CrowdedEngine::people ? i + 1 : 1000) {
      crowded.engine.registrar.load(stored_user(i).user);
    }
  });
  std::vector<std::thread> clients;
  for (int t = 0; t < 2; ++t) {
    clients.emplace_back([&, t] {
      const RcuThread rcu;
      Client client(crowded.engine);
      for (int round = 0; round < rounds; ++round) {
        const UnixMillis when{start.value + round * 30'000};
        for (std::uint64_t i = 1; i <= tried; ++i) {
          // Even people get right codes, from both threads; odd ones wrong ones, below the limit.
          const bool right = i % 2 == 0;
          const std::string code = right ? phone_of(i).code(when) : phone_of(i).wrong_code(when);
          if (!right && (round + t) % 3 != 0) continue;
          const auto answer = client.verify(stored_user(i).user, code, when);
          if (answer.verdict.result == Result::accepted) ++accepted[i];
          if (answer.verdict.result == Result::rejected) ++wrong[i];
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(30));  // time to be crowded out
      }
    });
  }
  for (auto& client : clients) client.join();
  done = true;
  crowd.join();
  EXPECT_GT(crowded.engine.directory.evictions(), before);
  for (std::uint64_t i = 1; i <= tried; ++i) {
    if (i % 2 == 0) {
      EXPECT_EQ(accepted[i], rounds) << i;
    } else {
      const auto user = crowded.engine.registrar.get(*UserName::parse(stored_user(i).user), start);
      EXPECT_EQ(static_cast<int>(user->failures), wrong[i]) << i;
    }
  }
}

}  // namespace
}  // namespace watchword::engine::test
