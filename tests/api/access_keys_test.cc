#include "api/access_keys.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "engine/rcu.h"
#include "scratch_store.h"

namespace watchword::api {
namespace {

constexpr engine::UnixMillis now{1'795'528'800'000};
const engine::Origin tester{.actor = "key:0000000000000001", .address = "192.0.2.7", .trace = {}};
constexpr Scopes admin = static_cast<Scopes>(Scope::admin);
constexpr Scopes verify = static_cast<Scopes>(Scope::verify);

class AccessKeysTest : public testing::Test {
 protected:
  engine::RcuThread thread;
  ScratchStore scratch;
  engine::Committer committer{scratch.store()};
  AccessKeys keys{scratch.store(), committer};
};

TEST_F(AccessKeysTest, GrantsAKeyItsScopesAndNothingToOthers) {
  const NewAccessKey made = *keys.create("sign-in page", verify, tester, now);
  const auto granted = keys.authenticate(made.key);
  ASSERT_TRUE(granted.has_value());
  EXPECT_EQ(granted->scopes, verify);
  std::string wrong = made.key;
  wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
  EXPECT_FALSE(keys.authenticate(wrong).has_value());
  for (const std::string& text : {std::string(), std::string("ww_"), made.key + "x", made.key.substr(1),
                                  "WW" + made.key.substr(2), "ww_0123456789abcdef_" + made.key.substr(20)}) {
    EXPECT_FALSE(keys.authenticate(text).has_value()) << text;
  }
}

TEST_F(AccessKeysTest, MakesKeysOfTheDocumentedShape) {
  const NewAccessKey made = *keys.create("k", verify, tester, now);
  ASSERT_EQ(made.key.size(), 63u);
  EXPECT_EQ(made.key.substr(0, 20), "ww_" + made.view.id + "_");
  EXPECT_EQ(made.view.created_at_s, now.seconds());
}

TEST_F(AccessKeysTest, StoresNoKeyAndKnowsItsKeysAfterAReopening) {
  const NewAccessKey made = *keys.create("Zoë's “console”", admin | verify, tester, now);
  for (const auto& [name, text] : scratch.store().documents("api-key/")) {
    EXPECT_EQ(text.find(made.key.substr(20)), std::string::npos);
  }
  const AccessKeys again(scratch.store(), committer);
  ASSERT_EQ(again.list().size(), 1u);
  EXPECT_EQ(again.list()[0].name, "Zoë's “console”");
  EXPECT_EQ(again.list()[0].id, made.view.id);
  EXPECT_EQ(again.authenticate(made.key)->scopes, admin | verify);
}

TEST_F(AccessKeysTest, RefusesARevokedKeyFromTheNextRequestOn) {
  const NewAccessKey made = *keys.create("k", verify, tester, now);
  const std::uint64_t before = keys.generation();
  ASSERT_TRUE(keys.revoke(made.view.id, tester, now).has_value());
  EXPECT_FALSE(keys.authenticate(made.key).has_value());
  EXPECT_NE(keys.generation(), before);
  EXPECT_FALSE(AccessKeys(scratch.store(), committer).authenticate(made.key).has_value());
  EXPECT_EQ(keys.revoke(made.view.id, tester, now).error(), AccessKeys::Refusal::not_found);
}

TEST_F(AccessKeysTest, KeepsTheLastAdminKey) {
  const NewAccessKey first = *keys.create("a", admin, tester, now);
  const NewAccessKey second = *keys.create("b", admin, tester, now);
  EXPECT_TRUE(keys.revoke(first.view.id, tester, now).has_value());
  EXPECT_EQ(keys.revoke(second.view.id, tester, now).error(), AccessKeys::Refusal::last_admin);
  EXPECT_TRUE(keys.authenticate(second.key).has_value());
}

TEST_F(AccessKeysTest, RefusesNamesThatCannotBeShownAndKeysForNothing) {
  EXPECT_EQ(keys.create("", verify, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_EQ(keys.create("a\nb", verify, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_EQ(keys.create("\xff", verify, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_EQ(keys.create(std::string(65, 'n'), verify, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_TRUE(keys.create(std::string(64, 'n'), verify, tester, now).has_value());
  EXPECT_EQ(keys.create("k", 0, tester, now).error(), AccessKeys::Refusal::no_scopes);
  EXPECT_EQ(keys.create("k", 64, tester, now).error(), AccessKeys::Refusal::no_scopes);
}

TEST_F(AccessKeysTest, AnswersReadersWhileKeysComeAndGo) {
  const NewAccessKey constant = *keys.create("constant", verify, tester, now);
  std::atomic<bool> done{false};
  std::atomic<unsigned> refused{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      const engine::RcuThread registered;
      while (!done) refused += keys.authenticate(constant.key) ? 0 : 1;
    });
  }
  for (int i = 0; i < 50; ++i) {
    const NewAccessKey passing = *keys.create("passing", verify, tester, now);
    EXPECT_TRUE(keys.authenticate(passing.key).has_value());
    EXPECT_TRUE(keys.revoke(passing.view.id, tester, now).has_value());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(refused, 0u);
}

TEST(Scopes, AreImpliedByAdminAlone) {
  EXPECT_TRUE(allows(admin, Scope::verify));
  EXPECT_TRUE(allows(verify, Scope::verify));
  EXPECT_FALSE(allows(verify, Scope::admin));
  EXPECT_FALSE(allows(0, Scope::read));
}

TEST(Scopes, AreReadAndWrittenByName) {
  for (const std::string& name : scope_names(0x3f)) EXPECT_EQ(to_string(*parse_scope(name)), name);
  EXPECT_EQ(scope_names(0x3f).size(), 6u);
  EXPECT_FALSE(parse_scope("Admin").has_value());
  EXPECT_FALSE(parse_scope("").has_value());
}

}  // namespace
}  // namespace watchword::api
