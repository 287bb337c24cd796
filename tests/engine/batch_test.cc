// A batch answers as its items would, asked one after the other, however they meet in it.
#include <random>

#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

constexpr UnixMillis start{1'700'000'010'000};
constexpr std::uint64_t people = 40;

// Everybody with one to three devices of any algorithm and length; the same in every estate.
std::vector<UserRecord> estate() {
  std::mt19937_64 random(3);
  std::vector<UserRecord> users;
  for (std::uint64_t number = 1; number <= people; ++number) {
    UserRecord user;
    user.user = "user" + std::to_string(number);
    user.number = {number};
    const unsigned devices = 1 + static_cast<unsigned>(random() % 3);
    for (unsigned k = 0; k < devices; ++k) {
      DeviceRecord device;
      device.id = {number * 16 + k + 1};
      device.slot = k + 1;
      device.name = "phone " + std::to_string(k);
      device.status = DeviceStatus::active;
      device.enabled = random() % 8 != 0;
      device.parameters.algorithm = random() % 3 != 0 ? Algorithm::sha1 : Algorithm::sha256;
      device.parameters.digits = static_cast<std::uint8_t>(6 + random() % 2);
      std::vector<std::uint8_t> secret(20);
      for (auto& byte : secret) byte = static_cast<std::uint8_t>(random());
      device.secret = SecretBytes(secret);
      user.devices.push_back(std::move(device));
    }
    users.push_back(std::move(user));
  }
  return users;
}

struct Asked {
  std::string user, code;
  std::uint64_t receipt = 0;
};

// Often the same person twice in a row, often a code that is right, sometimes a request that was made before.
std::vector<Asked> questions(std::mt19937_64& random, const std::vector<UserRecord>& users, UnixMillis when) {
  std::vector<Asked> asked;
  const std::size_t count = 1 + random() % 200;
  while (asked.size() < count) {
    if (!asked.empty() && random() % 6 == 0) {
      asked.push_back(asked[random() % asked.size()]);
      continue;
    }
    const bool nobody = random() % 20 == 0;
    const UserRecord& user = users[random() % users.size()];
    const DeviceRecord& device = user.devices[random() % user.devices.size()];
    const UnixMillis then{when.value + (static_cast<std::int64_t>(random() % 5) - 2) * 30'000};
    asked.push_back({nobody ? "nobody" : user.user,
                     random() % 3 != 0 ? totp(device.parameters, device.secret.bytes(), then) : "000000",
                     random() % 2 == 0 ? 0 : 1000 + random() % 1000 * 2});
  }
  return asked;
}

struct Estate {
  explicit Estate(const HmacKernel& kernel) : engine(store, lenient(), kernel) {
    store.put_bulk(estate());
    for (const UserRecord& user : estate()) engine.registrar.load(user.user);
  }
  ~Estate() { engine.committer.stop(); }
  static Policy lenient() {
    Policy policy;
    policy.lockout.failures = 4;
    return policy;
  }
  MemoryStore store;
  Engine engine;
  WaitingSink sink;
  Producer& producer{engine.committer.add_producer(&sink)};
};

bool same(const Verdict& a, const Verdict& b) {
  return a.result == b.result && a.repeated == b.repeated && a.device == b.device && a.retry_after_s == b.retry_after_s &&
         a.hard_locked == b.hard_locked && a.name() == b.name() &&
         (a.result != Result::accepted || a.drift_steps == b.drift_steps);
}

void compare_with_singles(const HmacKernel& kernel) {
  const RcuThread rcu;
  Estate single(kernel), batched(kernel);
  const std::vector<UserRecord> users = estate();
  std::mt19937_64 random(17);
  std::size_t accepted = 0, locked = 0, replayed = 0;
  for (int round = 0; round < 60; ++round) {
    const UnixMillis when{start.value + round * 41'000};
    const std::vector<Asked> asked = questions(random, users, when);
    std::vector<Ticket> single_tickets(asked.size()), batch_tickets(asked.size());
    std::vector<Verdict> single_verdicts(asked.size()), batch_verdicts(asked.size());
    std::vector<Next> nexts;
    std::vector<BatchItem> items;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const VerifyRequest request{.user = asked[i].user, .code = *Code::parse(asked[i].code), .receipt = asked[i].receipt};
      nexts.push_back(single.engine.verifier.verify(request, when, single.producer, single_tickets[i], single_verdicts[i]));
      items.push_back({.request = request, .ticket = &batch_tickets[i], .verdict = &batch_verdicts[i]});
    }
    batched.engine.verifier.verify_batch(items, when, batched.producer);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      ASSERT_EQ(items[i].next, nexts[i]) << "round " << round << " item " << i;
      if (nexts[i] != Next::answer && nexts[i] != Next::await_commit) continue;
      ASSERT_TRUE(same(single_verdicts[i], batch_verdicts[i]))
          << "round " << round << " item " << i << ": " << to_string(single_verdicts[i].result) << " and "
          << to_string(batch_verdicts[i].result);
      accepted += single_verdicts[i].result == Result::accepted;
      locked += single_verdicts[i].result == Result::locked;
      replayed += single_verdicts[i].result == Result::replayed;
    }
    for (Estate* const one : {&single, &batched}) {
      one->producer.publish();
      ASSERT_TRUE(one->engine.committer.settle());
    }
  }
  EXPECT_GT(accepted, 300u);
  EXPECT_GT(locked, 100u);
  EXPECT_GT(replayed, 100u);
}

TEST(Batch, AnswersAsItsItemsWouldOneByOne) {
  compare_with_singles(best_kernel());
}

TEST(Batch, AnswersTheSameWithLibcryptoAlone) {
  compare_with_singles(openssl_kernel());
}

}  // namespace
}  // namespace watchword::engine::test
