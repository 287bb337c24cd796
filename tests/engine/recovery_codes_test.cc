#include "engine/recovery_codes.h"

#include <thread>

#include "engine/words.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

TEST(RecoveryCode, IsReadInBothSpellingsAndInNoOther) {
  const RecoveryCode code = RecoveryCode::random();
  const std::string text = code.text();
  ASSERT_EQ(text.size(), recovery_text_bytes_max);
  std::string lower = text;
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const std::string plain(code.canonical.data(), code.canonical.size());
  for (const std::string& spelling : {text, lower, plain}) {
    const auto read = RecoveryCode::parse(spelling);
    ASSERT_TRUE(read) << spelling;
    EXPECT_EQ(read->canonical, code.canonical);
  }
  for (const std::string& wrong : {std::string(), text + "3", " " + text, text.substr(1), std::string("CDFHJKMNPQRTVWX0"),
                                   std::string("CDF-HJKMN-PQRTVWXY3"), std::string("CDFH JKMN PQRT VWXY"),
                                   std::string("1234567890123456"), std::string("CDFHJKMNPQRTVWX\0", 16)}) {
    EXPECT_FALSE(RecoveryCode::parse(wrong)) << wrong;
  }
}

TEST(RecoverySet, ComesBackAsItWasWritten) {
  RecoverySet set;
  set.made_at_s = 1'700'000'000;
  set.salt.fill(0xa7);
  for (std::uint8_t i = 0; i < 10; ++i) {
    set.entries.push_back({.hash = {}, .used_at_s = i % 2, .receipt = i * 0x1111111111111111ULL});
    set.entries.back().hash.fill(i);
  }
  RecoverySet read = RecoverySet::parse(set.text());
  EXPECT_EQ(read.text(), set.text());
  EXPECT_EQ(read.left(), 5u);
  EXPECT_EQ(read.salt, set.salt);
  EXPECT_EQ(read.find(set.entries[7].hash)->receipt, set.entries[7].receipt);
  EXPECT_THROW(RecoverySet::parse("2 1 aa"), std::runtime_error);
  EXPECT_THROW(RecoverySet::parse(""), std::runtime_error);
}

TEST(RecoveryThrottle, BelowTheHardLimitChargesAsAnyGuess) {
  const Lockout policy;
  const UnixMillis now{1'700'000'000'000};
  for (unsigned failures = 0; failures < policy.hard_failures; ++failures) {
    const ThrottleWord word = ThrottleWord::make(failures, 0, 5);
    EXPECT_EQ(charge_recovery(word, now, policy), charge(word, now, policy)) << failures;
  }
}

TEST(RecoveryThrottle, AtAHardLockEachAttemptHoldsUpTheNextForLonger) {
  const Lockout policy;
  UnixMillis now{1'700'000'000'000};
  // The delay of the failure that locked does not hold up the first one.
  ThrottleWord word = ThrottleWord::make(policy.hard_failures, now.value / 100 + 18'000, 5);
  std::int64_t expected_s = policy.delay_s_min;
  for (int attempt = 0; attempt < 40; ++attempt) {
    const auto charged = charge_recovery(word, now, policy);
    ASSERT_TRUE(charged) << attempt;
    word = *charged;
    EXPECT_TRUE(locked(word, now, policy)->hard);
    const auto lock = recovery_locked(word, now, policy);
    ASSERT_TRUE(lock);
    EXPECT_TRUE(lock->hard);
    EXPECT_LE(expected_s, lock->retry_after_s);
    EXPECT_GE(expected_s + 1, lock->retry_after_s);
    EXPECT_FALSE(charge_recovery(word, now, policy));
    now.value += 1000 * lock->retry_after_s;
    expected_s = std::min<std::int64_t>(policy.delay_s_max, expected_s * 2);
  }
}

class Recovery : public EngineTest {
 protected:
  RecoveryUse use(const std::string& code, UnixMillis now = start, std::uint64_t receipt = 0) {
    const auto used = engine.registrar.use_recovery_code(name("ada"), *RecoveryCode::parse(code), receipt, tester, now);
    EXPECT_TRUE(used.has_value());
    return used.value_or(RecoveryUse{});
  }
  std::vector<std::string> make() { return engine.registrar.make_recovery_codes(name("ada"), tester, start).value(); }
  unsigned left() { return engine.registrar.get(name("ada"), start)->recovery_codes_left; }
};

TEST_F(Recovery, ACodeIsAcceptedOnceAndIsReplayedAfterwardsWithoutACharge) {
  registered("ada");
  const auto codes = make();
  ASSERT_EQ(codes.size(), 10u);
  const RecoveryUse first = use(codes[3]);
  EXPECT_EQ(first.result, Result::accepted);
  EXPECT_EQ(first.left, 9u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(use(codes[3]).result, Result::replayed);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->failures, 0u);
  EXPECT_EQ(left(), 9u);
}

TEST_F(Recovery, ACodeIsAcceptedOnceAcrossThreads) {
  registered("ada");
  const auto codes = make();
  std::atomic<int> accepted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const RcuThread registered_thread;
      if (use(codes[0]).result == Result::accepted) ++accepted;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(left(), 9u);
}

TEST_F(Recovery, SharesTheBudgetOfTheDevices) {
  const Phone phone = registered("ada");
  const auto codes = make();
  Client client(engine);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client.result("ada", phone.wrong_code(start), start), Result::rejected);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(use(RecoveryCode::random().text()).result, Result::rejected);
  EXPECT_EQ(use(codes[0]).result, Result::locked);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::locked);
  EXPECT_EQ(left(), 10u);
}

TEST_F(Recovery, LiftsAHardLock) {
  const Phone phone = registered("ada");
  const auto codes = make();
  Policy policy;
  policy.lockout.failures = policy.lockout.hard_failures = 3;
  engine.policy.replace(policy);
  Client client(engine);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.result("ada", phone.wrong_code(start), start), Result::rejected);
  EXPECT_EQ(client.result("ada", phone.code(start), after_s(100'000)), Result::locked);
  const RecoveryUse wrong = use(RecoveryCode::random().text());
  EXPECT_EQ(wrong.result, Result::rejected);
  EXPECT_TRUE(wrong.hard_locked);
  const RecoveryUse early = use(codes[1]);
  EXPECT_EQ(early.result, Result::locked);
  EXPECT_GE(early.retry_after_s, 1u);
  EXPECT_EQ(use(codes[1], after_s(3)).result, Result::accepted);
  EXPECT_EQ(client.result("ada", phone.code(after_s(30)), after_s(30)), Result::accepted);
}

TEST_F(Recovery, ANewSetVoidsTheOld) {
  registered("ada");
  const auto old = make();
  const auto fresh = make();
  EXPECT_EQ(use(old[0]).result, Result::rejected);
  EXPECT_EQ(use(fresh[0]).result, Result::accepted);
}

TEST_F(Recovery, ARepeatedRequestGetsItsAnswerAgain) {
  registered("ada");
  const auto codes = make();
  EXPECT_EQ(use(codes[0], start, 0x10).result, Result::accepted);
  const RecoveryUse again = use(codes[0], after_s(60), 0x10);
  EXPECT_EQ(again.result, Result::accepted);
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(use(codes[0], after_s(60), 0x20).result, Result::replayed);
  EXPECT_EQ(use(RecoveryCode::random().text(), start, 0x30).result, Result::rejected);
  const RecoveryUse refused = use(RecoveryCode::random().text(), start, 0x30);
  EXPECT_TRUE(refused.repeated);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->failures, 1u);
}

TEST_F(Recovery, WhatIsNotDurableIsNotAccepted) {
  registered("ada");
  const auto codes = make();
  store.next_outcome = Outcome::failed;
  EXPECT_FALSE(engine.registrar.use_recovery_code(name("ada"), *RecoveryCode::parse(codes[0]), 0, tester, start));
  store.next_outcome = Outcome::durable;
  EXPECT_EQ(left(), 10u);
}

TEST_F(Recovery, GoesWithTheUser) {
  registered("ada");
  const auto codes = make();
  ASSERT_TRUE(engine.registrar.remove_user(name("ada"), tester, start));
  EXPECT_EQ(use(codes[0]).result, Result::no_device);
  registered("ada");
  EXPECT_EQ(left(), 0u);
  EXPECT_EQ(use(codes[0]).result, Result::rejected);
}

}  // namespace
}  // namespace watchword::engine::test
