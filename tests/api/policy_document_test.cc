#include "api/policy_document.h"

#include <gtest/gtest.h>

#include "engine/committer.h"
#include "scratch_store.h"

namespace watchword::api {
namespace {

constexpr std::string_view defaults =
    R"({"self_registration":"allowed","max_devices_per_user":8,"no_device_action":"register","prompt":"always",)"
    R"("issuer":"Watchword","algorithm":"SHA1","digits":6,"period":30,"window_steps":1,"registration_window_steps":1,)"
    R"("max_drift_steps":10,"pending_expires_s":600,)"
    R"("lockout":{"failures":10,"delay_s_min":1,"delay_s_max":1800,"hard_failures":100},"audit_verifications":"refusals"})";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(defaults);
  text.replace(text.find(from), from.size(), to);
  return text;
}

engine::Policy unlike_the_defaults() {
  engine::Policy policy;
  policy.self_registration = engine::SelfRegistration::denied;
  policy.max_devices_per_user = 3;
  policy.no_device_action = engine::NoDeviceAction::deny;
  policy.prompt = engine::Prompt::never;
  policy.issuer = "Größe & Söhne \"\\";
  policy.defaults = {.algorithm = engine::Algorithm::sha512, .digits = 8, .period_s = 60};
  policy.window_steps = 2;
  policy.registration_window_steps = 3;
  policy.max_drift_steps = 20;
  policy.pending_expires_s = 900;
  policy.lockout = {.failures = 5, .delay_s_min = 2, .delay_s_max = 60, .hard_failures = 50};
  policy.audit_verifications = engine::AuditVerifications::all;
  return policy;
}

TEST(PolicyDocument, HasTheNamesOfTheContract) {
  EXPECT_EQ(policy_document({}), defaults);
}

TEST(PolicyDocument, IsReadBackAsItWasWritten) {
  EXPECT_EQ(parse_policy(defaults), engine::Policy{});
  EXPECT_EQ(parse_policy(policy_document(unlike_the_defaults())), unlike_the_defaults());
}

TEST(PolicyDocument, IsWholeOrRefused) {
  for (const auto& [field, text] : {std::pair<std::string, std::string>{"prompt", R"("prompt":"always",)"},
                                    {"digits", R"("digits":6,)"},
                                    {"issuer", R"("issuer":"Watchword",)"},
                                    {"lockout.failures", R"("failures":10,)"}}) {
    const auto policy = parse_policy(replaced(text, ""));
    ASSERT_FALSE(policy.has_value()) << field;
    EXPECT_EQ(policy.error().field, field);
    EXPECT_EQ(policy.error().status, 400u);
  }
}

TEST(PolicyDocument, AuditsRefusalsWhereAWriterDoesNotKnowThatField) {
  const auto policy = parse_policy(replaced(R"(,"audit_verifications":"refusals")", ""));
  ASSERT_TRUE(policy.has_value());
  EXPECT_EQ(policy->audit_verifications, engine::AuditVerifications::refusals);
  EXPECT_EQ(parse_policy(replaced("refusals", "some")).error().field, "audit_verifications");
}

TEST(PolicyDocument, NamesAFieldOutOfRange) {
  for (const auto& [field, from, to] :
       {std::tuple<std::string, std::string, std::string>{"digits", R"("digits":6)", R"("digits":262)"},
        {"digits", R"("digits":6)", R"("digits":-1)"},
        {"period", R"("period":30)", R"("period":65566)"},
        {"window_steps", R"("window_steps":1)", R"("window_steps":-1)"},
        {"max_drift_steps", R"("max_drift_steps":10)", R"("max_drift_steps":4294967296)"},
        {"prompt", R"("prompt":"always")", R"("prompt":"Always")"},
        {"issuer", R"("issuer":"Watchword")", R"("issuer":"a:b")"},
        {"lockout.hard_failures", R"("hard_failures":100)", R"("hard_failures":101)"}}) {
    const auto policy = parse_policy(replaced(from, to));
    ASSERT_FALSE(policy.has_value()) << to;
    EXPECT_EQ(policy.error().field, field) << to;
    EXPECT_EQ(policy.error().status, 422u) << to;
  }
}

TEST(PolicyDocument, RefusesUnknownFieldsAndWrongTypes) {
  EXPECT_EQ(parse_policy(replaced(R"("digits":6)", R"("digits":6,"digit":6)")).error().field, "digit");
  EXPECT_EQ(parse_policy(replaced(R"("digits":6)", R"("digits":"6")")).error().field, "digits");
  EXPECT_EQ(parse_policy(replaced(R"("digits":6)", R"("digits":6,"digits":6)")).error().field, "digits");
  EXPECT_EQ(parse_policy(replaced(R"("prompt":"always")", R"("prompt":1)")).error().status, 400u);
}

TEST(PolicyEtag, ChangesWithThePolicyOnly) {
  EXPECT_EQ(policy_etag({}), policy_etag({}));
  EXPECT_NE(policy_etag({}), policy_etag(unlike_the_defaults()));
  EXPECT_EQ(policy_etag({}).size(), 34u);
  EXPECT_EQ(policy_etag({}).front(), '"');
}

class StoredPolicy : public testing::Test {
 protected:
  void store(std::string text) {
    engine::Change change;
    change.put_documents.emplace_back(policy_document_name, std::move(text));
    ASSERT_EQ(committer.commit(change), engine::Outcome::durable);
  }
  ScratchStore scratch;
  engine::Committer committer{scratch.store()};
};

TEST_F(StoredPolicy, IsTheFallbackUntilOneIsStored) {
  EXPECT_EQ(load_policy(scratch.store(), unlike_the_defaults()), unlike_the_defaults());
  store(policy_document({}));
  EXPECT_EQ(load_policy(scratch.store(), unlike_the_defaults()), engine::Policy{});
}

TEST_F(StoredPolicy, KeepsTheFallbackForFieldsThatItsWriterDidNotKnow) {
  store(R"({"issuer":"Old","lockout":{"failures":7}})");
  engine::Policy expected = unlike_the_defaults();
  expected.issuer = "Old";
  expected.lockout.failures = 7;
  EXPECT_EQ(load_policy(scratch.store(), unlike_the_defaults()), expected);
}

TEST_F(StoredPolicy, IsNotGuessedWhenItCannotBeRead) {
  store("{");
  EXPECT_THROW(load_policy(scratch.store(), {}), engine::StoreError);
}

}  // namespace
}  // namespace watchword::api
