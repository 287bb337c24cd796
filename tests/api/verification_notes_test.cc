#include "api/verification_notes.h"

#include "tests/engine/engine_fixture.h"

namespace watchword::api {
namespace {

using engine::AuditVerifications;
using engine::Result;
using engine::Verdict;

class Notes : public engine::test::EngineTest {
 protected:
  static Verdict verdict(Result result) {
    Verdict given;
    given.result = result;
    return given;
  }
  void set(AuditVerifications wanted) {
    engine::Policy policy;
    policy.audit_verifications = wanted;
    engine.policy.replace(policy);
  }
  // What was told since the last time, in its order.
  std::vector<std::string> told() {
    producer.publish();
    engine.committer.kick();
    engine.committer.commit({});  // a round of the committer later
    std::vector<std::string> all;
    const auto rows = store.audit({}).rows;
    for (std::size_t i = rows.size() - seen; i-- > 0;) {
      const engine::AuditEntry& entry = rows[i].entry;
      all.push_back(entry.action + " " + entry.user + " " + entry.device + " " + entry.detail);
      EXPECT_EQ(entry.origin.actor, "key:1");
      EXPECT_EQ(entry.origin.address, "192.0.2.1");
      EXPECT_EQ(entry.origin.trace, "t");
    }
    seen = rows.size();
    return all;
  }

  const Asker asker{.actor = "key:1", .address = "192.0.2.1", .trace = "t"};
  engine::Producer& producer{engine.committer.add_producer(nullptr)};
  VerificationNotes notes{producer, engine.policy};
  std::size_t seen = 0;
};

TEST_F(Notes, AreWhatPolicyAsksFor) {
  const auto decide_both = [&] {
    Verdict accepted = verdict(Result::accepted);
    accepted.device.value = 0xab;
    notes.decided(asker, "ada", accepted, start);
    notes.decided(asker, "bob", verdict(Result::rejected), start);
  };
  decide_both();
  EXPECT_EQ(told(), std::vector<std::string>{R"(verification bob  {"result":"rejected"})"});
  set(AuditVerifications::all);
  decide_both();
  EXPECT_EQ(told(), (std::vector<std::string>{R"(verification ada 00000000000000ab {"result":"accepted"})",
                                              R"(verification bob  {"result":"rejected"})"}));
  set(AuditVerifications::none);
  decide_both();
  EXPECT_TRUE(told().empty());
}

TEST_F(Notes, TellOfALockInAnyCaseAndOnce) {
  set(AuditVerifications::none);
  Verdict locks = verdict(Result::rejected);
  locks.retry_after_s = 8;
  notes.decided(asker, "ada", locks, start);
  locks.repeated = true;
  notes.decided(asker, "ada", locks, start);
  Verdict hard = verdict(Result::rejected);
  hard.hard_locked = true;
  notes.decided(asker, "bob", hard, start);
  Verdict locked = verdict(Result::locked);
  locked.retry_after_s = 7;
  notes.decided(asker, "ada", locked, start);
  EXPECT_EQ(told(), (std::vector<std::string>{R"(user.lock ada  {"hard":false,"retry_after_s":8})",
                                              R"(user.lock bob  {"hard":true})"}));
}

TEST_F(Notes, OfARepeatedAnswerThereAreNone) {
  set(AuditVerifications::all);
  for (const Result result : {Result::accepted, Result::rejected, Result::replayed}) {
    Verdict again = verdict(result);
    again.repeated = true;
    notes.decided(asker, "ada", again, start);
  }
  EXPECT_TRUE(told().empty());
}

TEST_F(Notes, OfWhatCostsNothingAreBoundedAndCountWhatTheyLeaveOut) {
  for (unsigned i = 0; i < VerificationNotes::idle_burst + 30; ++i) {
    notes.decided(asker, "ada", verdict(Result::locked), start);
  }
  EXPECT_EQ(told().size(), VerificationNotes::idle_burst);
  EXPECT_EQ(notes.left_out(), 30u);
  notes.decided(asker, "ada", verdict(Result::rejected), start);  // never bounded here
  EXPECT_EQ(told(), std::vector<std::string>{R"(verification ada  {"result":"rejected","left_out":30})"});
  notes.decided(asker, "ada", verdict(Result::no_device), after_s(1));
  EXPECT_EQ(told(), std::vector<std::string>{R"(verification ada  {"result":"no_device"})"});
}

TEST_F(Notes, OfRecoveryCodesAreThoseThatTheRegistrarDoesNotWrite) {
  for (const Result result : {Result::accepted, Result::rejected, Result::replayed}) {
    notes.decided_recovery(asker, "ada", verdict(result), start);
  }
  EXPECT_EQ(told(), std::vector<std::string>{R"(verification ada  {"result":"replayed","recovery_code":true})"});
}

}  // namespace
}  // namespace watchword::api
