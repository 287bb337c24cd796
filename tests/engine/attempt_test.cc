// What becomes of a verification under way when an administrator takes its user out of memory, to remove a device.
#include "engine/attempt.h"

#include <optional>
#include <thread>

#include "tests/engine/engine_fixture.h"

namespace watchword::engine {
namespace {

class Withdrawal : public test::EngineTest {
 protected:
  // Removes the device on a thread of its own. Returns when the user is out of memory; the removal itself waits for the
  // caller's read scope.
  std::thread remove(const test::Phone& phone, ResidentUser& user) {
    std::thread administrator([this, id = phone.id] {
      const RcuThread registered_thread;
      EXPECT_TRUE(engine.registrar.remove(name("ada"), id, test::tester, start).has_value());
    });
    while (engine.directory.find("ada", hash_user("ada")) != nullptr) std::this_thread::yield();
    for (std::size_t i = 0; i < user.device_count; ++i) {
      while (!ReplayWord{user.devices()[i].replay.word()}.frozen()) std::this_thread::yield();
    }
    return administrator;
  }

  unsigned failures() { return engine.registrar.get(name("ada"), start)->failures; }

  Attempt attempt(const VerifyRequest& request, Ticket& ticket, Verdict& verdict) {
    return {request, start, engine.policy.current(), best_kernel(), UnixMillis{}, producer, ticket, verdict};
  }

  ResidentUser& ada() { return *engine.directory.find("ada", hash_user("ada")); }

  static VerifyRequest of_ada(const std::string& code) { return {.user = "ada", .code = *Code::parse(code)}; }

  test::WaitingSink sink;
  Producer& producer = engine.committer.add_producer(&sink);
  const test::Phone kept = registered("ada");
  const test::Phone removed = registered("ada", {.name = "old phone"});
};

TEST_F(Withdrawal, AChargeWithoutAnAnswerIsGivenBack) {
  const VerifyRequest request = of_ada(kept.code(start));
  Ticket ticket;
  Verdict verdict;
  Attempt one = attempt(request, ticket, verdict);
  std::thread administrator;
  {
    const ReadScope scope;
    ResidentUser& user = ada();
    ASSERT_FALSE(one.begin(user));
    one.compute(user);
    administrator = remove(removed, user);
    EXPECT_EQ(one.claim(user), Attempt::End::moved);
    one.part();
  }
  administrator.join();
  EXPECT_EQ(failures(), 0u);
}

TEST_F(Withdrawal, OfTwoChargesTheOneThatWasAnsweredStays) {
  const VerifyRequest right = of_ada(kept.code(start));
  const VerifyRequest wrong = of_ada(kept.wrong_code(start));
  Ticket ticket;
  Verdict verdict;
  Attempt one = attempt(right, ticket, verdict), other = attempt(wrong, ticket, verdict);
  std::thread administrator;
  {
    const ReadScope scope;
    ResidentUser& user = ada();
    ASSERT_FALSE(one.begin(user));
    ASSERT_FALSE(other.begin(user));
    one.compute(user);
    other.compute(user);
    EXPECT_EQ(other.claim(user), Attempt::End::answer);
    administrator = remove(removed, user);
    EXPECT_EQ(one.claim(user), Attempt::End::moved);
    one.part();
  }
  administrator.join();
  EXPECT_EQ(failures(), 1u);
}

TEST_F(Withdrawal, WhoIsAcceptedOnTheWayOutHasTheirFailuresForgotten) {
  test::Client client(engine);
  for (unsigned i = 0; i + 1 < Policy{}.lockout.failures; ++i) {
    ASSERT_EQ(client.result("ada", kept.wrong_code(start), start), Result::rejected);
  }
  const VerifyRequest request = of_ada(kept.code(start));
  Ticket ticket;
  Verdict verdict;
  Attempt one = attempt(request, ticket, verdict);
  std::thread administrator;
  {
    const ReadScope scope;
    ResidentUser& user = ada();
    ASSERT_FALSE(one.begin(user));
    one.compute(user);
    user.throttle.freeze();  // as far as the administrator has come when the code is claimed
    EXPECT_EQ(one.claim(user), Attempt::End::await_commit);
    EXPECT_EQ(verdict.result, Result::accepted);
    ASSERT_TRUE(one.owes_forgetting());
    administrator = remove(removed, user);
    one.forget(nullptr);
    EXPECT_FALSE(one.owes_forgetting());
  }
  producer.publish();
  engine.committer.kick();
  sink.wait_for(1);
  administrator.join();
  EXPECT_EQ(failures(), 0u);
  EXPECT_EQ(client.result("ada", kept.code({start.value + 30'000}), {start.value + 30'000}), Result::accepted);
}

}  // namespace
}  // namespace watchword::engine
