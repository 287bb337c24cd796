#include "engine/verifier.h"

#include <latch>
#include <thread>

#include "engine/words.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

class Verifier : public EngineTest {};

TEST_F(Verifier, AcceptsACodeOnceAndSaysReplayedAfterwards) {
  const Phone phone = registered("ada");
  Client client(engine);
  const auto first = client.verify("ada", phone.code(start), start);
  EXPECT_EQ(first.verdict.result, Result::accepted);
  EXPECT_EQ(first.next, Next::await_commit);
  EXPECT_EQ(first.verdict.device, phone.id);
  EXPECT_EQ(first.verdict.name(), "phone");
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::replayed);
}

TEST_F(Verifier, TheCodeThatConfirmedIsUsedUp) {
  const UnixMillis when{start.value - 300'000};
  const Phone phone = registered("ada");
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(when), when), Result::replayed);
}

TEST_F(Verifier, AcceptsOneStepEachWayAndNoMore) {
  for (const int offset : {-2, -1, 0, 1, 2}) {
    const std::string user = "user" + std::to_string(offset);
    const Phone phone = registered(user);
    Client client(engine);
    const Result expected = std::abs(offset) <= 1 ? Result::accepted : Result::rejected;
    EXPECT_EQ(client.result(user, phone.code(after_s(30 * offset)), start), expected) << offset;
  }
}

TEST_F(Verifier, TheWindowMovesAtTheStepsEdge) {
  const Phone phone = registered("edge");
  Client client(engine);
  const std::string code = phone.code(after_s(-30));
  EXPECT_EQ(client.result("edge", code, after_s(29.999)), Result::accepted);
  const Phone other = registered("edge2");
  EXPECT_EQ(client.result("edge2", other.code(after_s(-30)), after_s(30)), Result::rejected);
}

TEST_F(Verifier, RefusesAnEarlierStepAfterALaterOne) {
  const Phone phone = registered("ada");
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(after_s(30)), start), Result::accepted);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::replayed);
  EXPECT_EQ(client.result("ada", phone.code(after_s(-30)), start), Result::replayed);
}

TEST_F(Verifier, AcceptsACodeOnlyOnceAcrossThreads) {
  const Phone phone = registered("ada");
  constexpr int threads = 8, rounds = 30;
  for (int round = 0; round < rounds; ++round) {
    const UnixMillis now = after_s(60.0 * round);
    const std::string code = phone.code(now);
    std::latch begin(threads);
    std::atomic<int> accepted = 0, replayed = 0;
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([&] {
        const RcuThread registered_thread;
        Client client(engine);
        begin.arrive_and_wait();
        const Result result = client.result("ada", code, now);
        accepted += result == Result::accepted;
        replayed += result == Result::replayed;
      });
    }
    for (auto& thread : running) thread.join();
    ASSERT_EQ(accepted, 1) << "round " << round;
    ASSERT_EQ(accepted + replayed, threads);
  }
}

TEST_F(Verifier, ChargesWrongCodesAndLocksAtTheTenth) {
  const Phone phone = registered("ada");
  Client client(engine);
  for (int i = 0; i < 10; ++i) {
    const auto answer = client.verify("ada", phone.wrong_code(start), start);
    ASSERT_EQ(answer.verdict.result, Result::rejected);
    ASSERT_EQ(answer.next, i < 9 ? Next::answer : Next::await_commit);
  }
  const auto locked = client.verify("ada", phone.code(start), start);
  EXPECT_EQ(locked.verdict.result, Result::locked);
  EXPECT_GE(locked.verdict.retry_after_s, 1u);
  EXPECT_EQ(client.result("ada", phone.code(after_s(30)), after_s(30)), Result::accepted);
  EXPECT_EQ(engine.registrar.get(name("ada"), after_s(30))->failures, 0u);
}

TEST_F(Verifier, ParallelWrongGuessesCostAsManyAttemptsAsPolicyLetsThrough) {
  const Phone phone = registered("ada");
  const std::string wrong = phone.wrong_code(start);
  std::atomic<int> rejected = 0, locked = 0;
  std::vector<std::thread> running;
  std::latch begin(8);
  for (int i = 0; i < 8; ++i) {
    running.emplace_back([&] {
      const RcuThread registered_thread;
      Client client(engine);
      begin.arrive_and_wait();
      for (int k = 0; k < 25; ++k) {
        const Result result = client.result("ada", wrong, start);
        rejected += result == Result::rejected;
        locked += result == Result::locked;
      }
    });
  }
  for (auto& thread : running) thread.join();
  EXPECT_EQ(rejected, 10);
  EXPECT_EQ(locked, 190);
}

TEST_F(Verifier, ReplaysDoNotCharge) {
  const Phone phone = registered("ada");
  Client client(engine);
  const std::string code = phone.code(start);
  EXPECT_EQ(client.result("ada", code, start), Result::accepted);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(client.result("ada", code, start), Result::replayed);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->failures, 0u);
}

TEST_F(Verifier, ASuccessForgetsEarlierFailuresDurably) {
  const Phone phone = registered("ada");
  Client client(engine);
  for (int i = 0; i < 5; ++i) client.verify("ada", phone.wrong_code(start), start);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
  EXPECT_EQ(ThrottleWord{store.load("ada")->throttle.word}.failures(), 0u);
}

TEST_F(Verifier, AnswersARepeatedRequestIdWithTheSameAnswer) {
  const Phone phone = registered("ada");
  Client client(engine);
  const std::string code = phone.code(start);
  EXPECT_FALSE(client.verify("ada", code, start, 42).verdict.repeated);
  const auto again = client.verify("ada", code, start, 42);
  EXPECT_EQ(again.verdict.result, Result::accepted);
  EXPECT_TRUE(again.verdict.repeated);
  EXPECT_EQ(again.verdict.device, phone.id);
  EXPECT_EQ(client.verify("ada", code, start, 44).verdict.result, Result::replayed);
}

TEST_F(Verifier, ARepeatedRefusalIsNotChargedAgain) {
  const Phone phone = registered("ada");
  Client client(engine);
  const std::string wrong = phone.wrong_code(start);
  EXPECT_EQ(client.verify("ada", wrong, start, 42).verdict.result, Result::rejected);
  for (int i = 0; i < 20; ++i) {
    const auto again = client.verify("ada", wrong, start, 42);
    ASSERT_EQ(again.verdict.result, Result::rejected);
    ASSERT_TRUE(again.verdict.repeated);
  }
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->failures, 1u);
}

TEST_F(Verifier, OneRequestSentTwiceInParallelIsAcceptedTwiceAndClaimedOnce) {
  const Phone phone = registered("ada");
  for (int round = 0; round < 30; ++round) {
    const UnixMillis now = after_s(60.0 * round);
    const std::string code = phone.code(now);
    std::atomic<int> accepted = 0, repeated = 0;
    std::vector<std::thread> running;
    std::latch begin(4);
    for (int i = 0; i < 4; ++i) {
      running.emplace_back([&] {
        const RcuThread registered_thread;
        Client client(engine);
        begin.arrive_and_wait();
        const auto answer = client.verify("ada", code, now, 1000 + 2 * static_cast<std::uint64_t>(round));
        accepted += answer.verdict.result == Result::accepted;
        repeated += answer.verdict.repeated;
      });
    }
    for (auto& thread : running) thread.join();
    ASSERT_EQ(accepted, 4);
    ASSERT_EQ(repeated, 3);
  }
}

TEST_F(Verifier, WhatCouldNotBeWrittenIsNotAcceptedAndStaysUsedUp) {
  const Phone phone = registered("ada");
  Client client(engine);
  store.next_outcome = Outcome::failed;
  EXPECT_EQ(client.verify("ada", phone.code(start), start).outcome, Outcome::failed);
  store.next_outcome = Outcome::durable;
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::replayed);
}

TEST_F(Verifier, ClaimsNothingWhileTheStoreTakesNoWrites) {
  const Phone phone = registered("ada");
  Client client(engine);
  store.writable_ = false;
  EXPECT_EQ(client.verify("ada", phone.code(start), start).next, Next::unavailable);
  store.writable_ = true;
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
}

TEST_F(Verifier, KnowsNoDeviceWhereNoneIsActive) {
  Client client(engine);
  EXPECT_EQ(client.result("nobody", "123456", start), Result::no_device);
  ASSERT_TRUE(engine.registrar.begin(name("pending"), {.name = "phone"}, tester, start));
  EXPECT_EQ(client.result("pending", "123456", start), Result::no_device);
  const Phone phone = registered("disabled");
  ASSERT_TRUE(engine.registrar.patch(name("disabled"), phone.id, {.name = {}, .enabled = false}, tester, start));
  EXPECT_EQ(client.result("disabled", phone.code(start), start), Result::no_device);
}

TEST_F(Verifier, TellsTheLengthOfACodeWithoutCharging) {
  registered("ada");
  Client client(engine);
  const auto answer = client.verify("ada", "1234567", start);
  EXPECT_EQ(answer.next, Next::code_length);
  EXPECT_EQ(answer.verdict.expected_digits, 6);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->failures, 0u);
}

TEST_F(Verifier, TakesTheCodesOfAllEightDevicesOfAPerson) {
  std::vector<Phone> phones;
  for (int i = 0; i < 8; ++i) phones.push_back(registered("ada", {.name = "phone " + std::to_string(i)}));
  Client client(engine);
  for (const Phone& phone : phones) {
    const auto answer = client.verify("ada", phone.code(start), start);
    ASSERT_EQ(answer.verdict.result, Result::accepted);
    ASSERT_EQ(answer.verdict.device, phone.id);
  }
}

TEST_F(Verifier, AsksOnlyTheDeviceThatIsNamed) {
  const Phone first = registered("ada", {.name = "first"});
  const Phone second = registered("ada", {.name = "second"});
  Client client(engine);
  EXPECT_EQ(client.verify("ada", first.code(start), start, 0, second.id).verdict.result, Result::rejected);
  EXPECT_EQ(client.verify("ada", first.code(start), start, 0, first.id).verdict.result, Result::accepted);
  EXPECT_EQ(client.verify("ada", first.code(start), start, 0, DeviceId{12345}).verdict.result, Result::no_device);
}

TEST_F(Verifier, AClockThatJumpsAcceptsNothingTwice) {
  const Phone phone = registered("ada");
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
  EXPECT_EQ(client.result("ada", phone.code(after_s(3600)), after_s(3600)), Result::accepted);
  for (double back : {-3600.0, 0.0, 1800.0, 3600.0}) {
    EXPECT_EQ(client.result("ada", phone.code(after_s(back)), after_s(back)), Result::replayed) << back;
  }
}

TEST_F(Verifier, BehindTheFenceEveryCodeIsRefusedUntilTheClockHasPassedIt) {
  const Phone phone = registered("ada");
  Client client(engine);
  engine.verifier.fence_until(start);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::replayed);
  EXPECT_EQ(client.result("ada", phone.code(after_s(30)), start), Result::replayed);
  EXPECT_EQ(client.result("ada", phone.code(after_s(390)), after_s(390)), Result::accepted);
}

TEST_F(Verifier, DecidesWhileDevicesAreBeingChanged) {
  const Phone phone = registered("ada");
  std::atomic<bool> done = false;
  std::thread admin([&] {
    const RcuThread registered_thread;
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(engine.registrar.patch(name("ada"), phone.id, {.name = "name " + std::to_string(i), .enabled = {}}, tester,
                                         start));
    }
    done = true;
  });
  Client client(engine);
  std::int64_t round = 0;
  while (!done) {
    const UnixMillis now = after_s(60.0 * static_cast<double>(round++));
    ASSERT_EQ(client.result("ada", phone.code(now), now), Result::accepted);
    ASSERT_EQ(client.result("ada", phone.code(now), now), Result::replayed);
  }
  admin.join();
  const UnixMillis last = after_s(60.0 * static_cast<double>(round - 1));
  EXPECT_EQ(client.result("ada", phone.code(last), last), Result::replayed);
  EXPECT_EQ(engine.registrar.get(name("ada"), last)->failures, 0u);
}

TEST(ReceiptTag, DependsOnEveryFieldAndOnWhereOneEnds) {
  const SecretBytes key{std::vector<std::uint8_t>(32, 1)};
  const auto tag = receipt_tag(key, "caller", "ada", "r1", "123456", "");
  EXPECT_EQ(tag, receipt_tag(key, "caller", "ada", "r1", "123456", ""));
  EXPECT_NE(tag, receipt_tag(key, "other", "ada", "r1", "123456", ""));
  EXPECT_NE(tag, receipt_tag(key, "caller", "bob", "r1", "123456", ""));
  EXPECT_NE(tag, receipt_tag(key, "caller", "ada", "r2", "123456", ""));
  EXPECT_NE(tag, receipt_tag(key, "caller", "ada", "r1", "123457", ""));
  EXPECT_NE(tag, receipt_tag(key, "calle", "rada", "r1", "123456", ""));
  EXPECT_EQ(tag & 1, 0u);
}

}  // namespace
}  // namespace watchword::engine::test
