#include "engine/registrar.h"

#include <thread>

#include "engine/otpauth_uri.h"
#include "engine/words.h"
#include "tests/engine/engine_fixture.h"

namespace watchword::engine::test {
namespace {

class Registrar : public EngineTest {
 protected:
  Answer<BegunRegistration> begin(std::string_view user, std::string device, UnixMillis now = start) {
    return engine.registrar.begin(name(user), {.name = std::move(device)}, tester, now);
  }
  static Phone phone_of(const BegunRegistration& begun) {
    return {begun.device.id, begun.device.parameters, begun.secret.bytes()};
  }
  Answer<Confirmation> confirm(std::string_view user, const Phone& phone, std::string_view code, UnixMillis now = start) {
    return engine.registrar.confirm(name(user), phone.id, *Code::parse(code), tester, now);
  }
};

TEST_F(Registrar, GivesASecretOnceAndAUriThatHoldsIt) {
  const auto begun = begin("ada@example.org", "My iPhone X");
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->secret.size(), 20u);
  EXPECT_EQ(begun->device.status, DeviceStatus::pending);
  EXPECT_EQ(begun->device.expires_at_s, start.seconds() + 600);
  const auto key = parse_otpauth_uri(begun->otpauth_uri);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->account, "ada@example.org");
  EXPECT_EQ(key->secret.bytes(), begun->secret.bytes());
  EXPECT_EQ(*engine.registrar.pending_uri(name("ada@example.org"), begun->device.id, start), begun->otpauth_uri);
}

TEST_F(Registrar, ConfirmsOnlyWithARightCodeAndOnlyOnce) {
  const Phone phone = phone_of(*begin("ada", "phone"));
  const auto wrong = confirm("ada", phone, phone.wrong_code(start));
  ASSERT_TRUE(wrong);
  EXPECT_FALSE(wrong->accepted);
  const auto right = confirm("ada", phone, phone.code(start));
  ASSERT_TRUE(right && right->accepted);
  EXPECT_EQ(right->device.status, DeviceStatus::active);
  EXPECT_EQ(right->device.confirmed_at_s, start.seconds());
  EXPECT_EQ(confirm("ada", phone, phone.code(start)).error(), Refusal::not_pending);
  EXPECT_EQ(engine.registrar.pending_uri(name("ada"), phone.id, start).error(), Refusal::not_pending);
}

TEST_F(Registrar, TellsHowFarAPhonesClockIsOffAndRegistersNothing) {
  const Phone phone = phone_of(*begin("ada", "phone"));
  const auto late = confirm("ada", phone, phone.code(after_s(-120)));
  ASSERT_TRUE(late);
  EXPECT_FALSE(late->accepted);
  EXPECT_EQ(late->clock_offset_s, -120);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->devices.at(0).status, DeviceStatus::pending);
}

TEST_F(Registrar, APendingRegistrationEndsByTimeOrByTenWrongCodes) {
  const Phone old = phone_of(*begin("ada", "old"));
  EXPECT_EQ(confirm("ada", old, old.code(after_s(600)), after_s(600)).error(), Refusal::expired);
  EXPECT_TRUE(engine.registrar.get(name("ada"), after_s(600))->devices.empty());
  const Phone guessed = phone_of(*begin("ada", "guessed"));
  for (int i = 0; i < failed_confirmations_max; ++i) ASSERT_TRUE(confirm("ada", guessed, guessed.wrong_code(start)));
  EXPECT_EQ(confirm("ada", guessed, guessed.code(start)).error(), Refusal::expired);
}

TEST_F(Registrar, AnAbandonedRegistrationHarmsNothing) {
  const Phone phone = registered("ada");
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(begin("ada", "abandoned " + std::to_string(i)));
  EXPECT_LE(engine.registrar.get(name("ada"), start)->devices.size(), 1 + pending_devices_max);
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
}

TEST_F(Registrar, WrongConfirmationsDoNotLockTheDevicesThatAPersonHas) {
  const Phone phone = registered("ada");
  const Phone fresh = phone_of(*begin("ada", "fresh"));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(confirm("ada", fresh, fresh.wrong_code(start)));
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
}

TEST_F(Registrar, ANewRegistrationDoesNotResetTheFailureCount) {
  const Phone phone = registered("ada");
  Client client(engine);
  for (int i = 0; i < 9; ++i) client.verify("ada", phone.wrong_code(start), start);
  const Phone second = phone_of(*begin("ada", "second"));
  ASSERT_TRUE(confirm("ada", second, second.code(start)));
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->failures, 9u);
  EXPECT_EQ(client.result("ada", phone.wrong_code(start), start), Result::rejected);
  EXPECT_EQ(client.result("ada", phone.wrong_code(start), start), Result::locked);
}

TEST_F(Registrar, AllowsEightActiveDevicesWithNamesOfTheirOwn) {
  for (int i = 0; i < 8; ++i) registered("ada", {.name = "phone " + std::to_string(i)});
  EXPECT_EQ(begin("ada", "ninth").error(), Refusal::device_limit);
  EXPECT_EQ(begin("ada", "phone 3").error(), Refusal::name_taken);
  registered("bob", {.name = "phone 3"});
}

TEST_F(Registrar, RefusesSecretsThatAreTooShortOrAlreadyThere) {
  const auto with = [](std::size_t bytes) { return SecretBytes(std::vector<std::uint8_t>(bytes, 9)); };
  EXPECT_EQ(engine.registrar.begin(name("ada"), {.name = "a", .secret = with(15)}, tester, start).error(),
            Refusal::secret_too_short);
  EXPECT_TRUE(engine.registrar.begin(name("ada"), {.name = "a", .secret = with(16)}, tester, start));
  EXPECT_EQ(engine.registrar.begin(name("ada"), {.name = "b", .secret = with(16)}, tester, start).error(),
            Refusal::secret_registered);
}

TEST_F(Registrar, ADeviceKeepsItsParametersWhenTheDefaultsChange) {
  const Phone phone = registered("ada");
  Policy policy;
  policy.defaults = {.algorithm = Algorithm::sha512, .digits = 8, .period_s = 60};
  engine.policy.replace(policy);
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
  EXPECT_EQ(registered("bob").parameters, policy.defaults);
}

TEST_F(Registrar, RenamesDisablesAndRemoves) {
  const Phone phone = registered("ada");
  EXPECT_EQ(engine.registrar.patch(name("ada"), phone.id, {.name = "new", .enabled = false}, tester, start)->name, "new");
  EXPECT_FALSE(engine.registrar.get(name("ada"), start)->devices.at(0).enabled);
  ASSERT_TRUE(engine.registrar.patch(name("ada"), phone.id, {.name = {}, .enabled = true}, tester, start));
  Client client(engine);
  EXPECT_EQ(client.verify("ada", phone.code(start), start).verdict.name(), "new");
  ASSERT_TRUE(engine.registrar.remove(name("ada"), phone.id, tester, start));
  EXPECT_EQ(client.result("ada", phone.code(after_s(60)), after_s(60)), Result::no_device);
  EXPECT_EQ(engine.registrar.remove(name("ada"), phone.id, tester, start).error(), Refusal::device_not_found);
  ASSERT_TRUE(engine.registrar.remove_user(name("ada"), tester, start));
  EXPECT_EQ(engine.registrar.get(name("ada"), start).error(), Refusal::user_not_found);
}

TEST_F(Registrar, ASecretThatComesBackDoesNotBringItsUsedCodesBack) {
  const Phone phone = registered("ada");
  Client client(engine);
  const std::string used = phone.code(start);
  EXPECT_EQ(client.result("ada", used, start), Result::accepted);
  ASSERT_TRUE(engine.registrar.remove_user(name("ada"), tester, start));
  const NewDevice again{.name = "phone", .secret = SecretBytes(phone.secret)};
  const auto begun = engine.registrar.begin(name("ada"), again, tester, start);
  ASSERT_TRUE(begun);
  EXPECT_FALSE(confirm("ada", phone_of(*begun), used)->accepted);
  EXPECT_TRUE(confirm("ada", phone_of(*begun), phone.code(after_s(30)))->accepted);
}

// HMAC pads a key with zeros and hashes a long one: other bytes, the same codes.
TEST_F(Registrar, ASecretInAnotherSpellingIsTheSameSecret) {
  const Phone phone = registered("ada");
  std::vector<std::uint8_t> padded = phone.secret;
  padded.push_back(0);
  EXPECT_EQ(engine.registrar.begin(name("ada"), {.name = "other", .secret = SecretBytes(padded)}, tester, start).error(),
            Refusal::secret_registered);
  Client client(engine);
  const std::string used = phone.code(start);
  EXPECT_EQ(client.result("ada", used, start), Result::accepted);
  ASSERT_TRUE(engine.registrar.remove(name("ada"), phone.id, tester, start));
  const auto begun = engine.registrar.begin(name("ada"), {.name = "phone", .secret = SecretBytes(padded)}, tester, start);
  ASSERT_TRUE(begun);
  EXPECT_FALSE(confirm("ada", phone_of(*begun), used)->accepted);
}

TEST_F(Registrar, ASecretThatComesBackWithAnotherPeriodWorks) {
  Policy quick;
  quick.defaults.period_s = 15;
  engine.policy.replace(quick);
  const Phone phone = registered("ada");
  ASSERT_TRUE(engine.registrar.remove(name("ada"), phone.id, tester, start));
  const NewDevice again{.name = "phone", .period_s = 30, .secret = SecretBytes(phone.secret)};
  const auto begun = engine.registrar.begin(name("ada"), again, tester, start);
  ASSERT_TRUE(begun);
  EXPECT_TRUE(confirm("ada", phone_of(*begun), phone_of(*begun).code(start))->accepted);
}

// Acceptances and the removal race; what was accepted last must be known to the note.
TEST_F(Registrar, ADeviceRemovedWhileItIsUsedTakesItsLastStepAlong) {
  for (int round = 0; round < 30; ++round) {
    const std::string user = "user-" + std::to_string(round);
    const Phone phone = registered(user);
    std::atomic<std::int64_t> accepted_s{-60};
    std::thread signing_in([&] {
      const RcuThread registered_thread;
      Client client(engine);
      for (int i = 1; i < 200; ++i) {
        if (client.result(user, phone.code(after_s(30.0 * i)), after_s(30.0 * i)) != Result::accepted) return;
        accepted_s = 30 * i;
      }
    });
    while (accepted_s < 30) std::this_thread::yield();
    ASSERT_TRUE(engine.registrar.remove(name(user), phone.id, tester, after_s(30)));
    signing_in.join();
    const UnixMillis then = after_s(static_cast<double>(accepted_s.load()));
    const NewDevice again{.name = "phone", .secret = SecretBytes(phone.secret)};
    const auto begun = engine.registrar.begin(name(user), again, tester, then);
    ASSERT_TRUE(begun);
    EXPECT_FALSE(confirm(user, phone_of(*begun), phone.code(then), then)->accepted) << "accepted twice";
  }
}

TEST_F(Registrar, WhatCouldNotBeRemovedGoesOnWorking) {
  const Phone phone = registered("ada");
  Client client(engine);
  store.next_outcome = Outcome::failed;
  EXPECT_EQ(engine.registrar.remove(name("ada"), phone.id, tester, start).error(), Refusal::store_unavailable);
  EXPECT_EQ(engine.registrar.remove_user(name("ada"), tester, start).error(), Refusal::store_unavailable);
  store.next_outcome = Outcome::durable;
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
}

TEST_F(Registrar, UnlockLiftsALockAndIsDurable) {
  const Phone phone = registered("ada");
  Client client(engine);
  for (int i = 0; i < 10; ++i) client.verify("ada", phone.wrong_code(start), start);
  ASSERT_TRUE(engine.registrar.get(name("ada"), start)->locked);
  ASSERT_TRUE(engine.registrar.unlock(name("ada"), tester, start));
  EXPECT_EQ(ThrottleWord{store.load("ada")->throttle.word}.failures(), 0u);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
}

TEST_F(Registrar, ResyncTakesTwoConsecutiveCodesAndSetsTheDrift) {
  const Phone phone = registered("ada");
  const auto resync = [&](double first_s, double second_s, UnixMillis now) {
    return engine.registrar.resync(name("ada"), phone.id, *Code::parse(phone.code(after_s(first_s))),
                                   *Code::parse(phone.code(after_s(second_s))), tester, now);
  };
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(after_s(60)), start), Result::rejected);
  EXPECT_EQ(resync(30, 90, start)->kind, Resynced::Kind::rejected);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->devices.at(0).drift_steps, 0);
  const auto done = resync(30, 60, start);
  ASSERT_EQ(done->kind, Resynced::Kind::accepted);
  EXPECT_EQ(done->drift_steps, 2);
  EXPECT_EQ(resync(30, 60, start)->kind, Resynced::Kind::replayed);
  EXPECT_EQ(client.result("ada", phone.code(after_s(60)), start), Result::replayed);
  EXPECT_EQ(client.result("ada", phone.code(after_s(300 + 60)), after_s(300)), Result::accepted);
}

TEST_F(Registrar, ResyncOfRecordedCodesIsRefused) {
  const Phone phone = registered("ada");
  Client client(engine);
  std::vector<std::string> recorded;
  for (int i = 0; i < 20; ++i) {
    recorded.push_back(phone.code(after_s(30 * i)));
    ASSERT_EQ(client.result("ada", recorded.back(), after_s(30 * i)), Result::accepted);
  }
  const UnixMillis now = after_s(30 * 19);
  for (std::size_t i = 0; i + 1 < recorded.size(); ++i) {
    const auto answer = engine.registrar.resync(name("ada"), phone.id, *Code::parse(recorded[i]),
                                                *Code::parse(recorded[i + 1]), tester, now);
    ASSERT_TRUE(answer);
    ASSERT_NE(answer->kind, Resynced::Kind::accepted);
    ASSERT_TRUE(engine.registrar.unlock(name("ada"), tester, now));
  }
}

TEST_F(Registrar, ResyncGuessesAreChargedLikeAnyOther) {
  const Phone phone = registered("ada");
  const Code wrong = *Code::parse(phone.wrong_code(start));
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(engine.registrar.resync(name("ada"), phone.id, wrong, wrong, tester, start)->kind, Resynced::Kind::rejected);
  }
  EXPECT_EQ(engine.registrar.resync(name("ada"), phone.id, wrong, wrong, tester, start)->kind, Resynced::Kind::locked);
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::locked);
}

TEST_F(Registrar, ChangesNothingThatItCouldNotWrite) {
  const Phone phone = registered("ada");
  store.next_outcome = Outcome::failed;
  EXPECT_EQ(begin("ada", "second").error(), Refusal::store_unavailable);
  EXPECT_EQ(engine.registrar.remove(name("ada"), phone.id, tester, start).error(), Refusal::store_unavailable);
  store.next_outcome = Outcome::durable;
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->devices.size(), 1u);
  Client client(engine);
  EXPECT_EQ(client.result("ada", phone.code(start), start), Result::accepted);
}

TEST_F(Registrar, ParallelRegistrationsOfOnePersonAllCount) {
  std::vector<std::thread> running;
  std::atomic<int> begun = 0;
  for (int i = 0; i < 8; ++i) {
    running.emplace_back([&, i] {
      const RcuThread registered_thread;
      begun += begin("ada", "phone " + std::to_string(i)).has_value();
    });
  }
  for (auto& thread : running) thread.join();
  EXPECT_EQ(begun, 8);
  EXPECT_EQ(engine.registrar.get(name("ada"), start)->devices.size(), 8u);
}

}  // namespace
}  // namespace watchword::engine::test
