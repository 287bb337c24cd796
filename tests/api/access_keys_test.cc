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
const boost::asio::ip::address here = boost::asio::ip::make_address("192.0.2.7");
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
  const NewAccessKey made = *keys.create({.name = "sign-in page", .scopes = verify}, tester, now);
  const auto granted = keys.authenticate(made.key, here, now);
  ASSERT_TRUE(granted.has_value());
  EXPECT_EQ(granted->scopes, verify);
  std::string wrong = made.key;
  wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
  EXPECT_FALSE(keys.authenticate(wrong, here, now).has_value());
  for (const std::string& text : {std::string(), std::string("ww_"), made.key + "x", made.key.substr(1),
                                  "WW" + made.key.substr(2), "ww_0123456789abcdef_" + made.key.substr(20)}) {
    EXPECT_FALSE(keys.authenticate(text, here, now).has_value()) << text;
  }
}

TEST_F(AccessKeysTest, MakesKeysOfTheDocumentedShape) {
  const NewAccessKey made = *keys.create({.name = "k", .scopes = verify}, tester, now);
  ASSERT_EQ(made.key.size(), 63u);
  EXPECT_EQ(made.key.substr(0, 20), "ww_" + made.view.id + "_");
  EXPECT_EQ(made.view.created_at_s, now.seconds());
}

TEST_F(AccessKeysTest, StoresNoKeyAndKnowsItsKeysAfterAReopening) {
  const NewAccessKey made =
      *keys.create({.name = "Zoë's “console”", .scopes = static_cast<Scopes>(admin | verify)}, tester, now);
  for (const auto& [name, text] : scratch.store().documents("api-key/")) {
    EXPECT_EQ(text.find(made.key.substr(20)), std::string::npos);
  }
  const AccessKeys again(scratch.store(), committer);
  ASSERT_EQ(again.list().size(), 1u);
  EXPECT_EQ(again.list()[0].name, "Zoë's “console”");
  EXPECT_EQ(again.list()[0].id, made.view.id);
  EXPECT_EQ(again.authenticate(made.key, here, now)->scopes, admin | verify);
}

TEST_F(AccessKeysTest, RefusesARevokedKeyFromTheNextRequestOn) {
  const NewAccessKey made = *keys.create({.name = "k", .scopes = verify}, tester, now);
  const std::uint64_t before = keys.generation();
  ASSERT_TRUE(keys.revoke(made.view.id, tester, now).has_value());
  EXPECT_FALSE(keys.authenticate(made.key, here, now).has_value());
  EXPECT_NE(keys.generation(), before);
  EXPECT_FALSE(AccessKeys(scratch.store(), committer).authenticate(made.key, here, now).has_value());
  EXPECT_EQ(keys.revoke(made.view.id, tester, now).error(), AccessKeys::Refusal::not_found);
}

TEST_F(AccessKeysTest, KeepsTheLastAdminKey) {
  const NewAccessKey first = *keys.create({.name = "a", .scopes = admin}, tester, now);
  const NewAccessKey second = *keys.create({.name = "b", .scopes = admin}, tester, now);
  EXPECT_TRUE(keys.revoke(first.view.id, tester, now).has_value());
  EXPECT_EQ(keys.revoke(second.view.id, tester, now).error(), AccessKeys::Refusal::last_admin);
  EXPECT_TRUE(keys.authenticate(second.key, here, now).has_value());
}

TEST_F(AccessKeysTest, RefusesNamesThatCannotBeShownAndKeysForNothing) {
  EXPECT_EQ(keys.create({.name = "", .scopes = verify}, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_EQ(keys.create({.name = "a\nb", .scopes = verify}, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_EQ(keys.create({.name = "\xff", .scopes = verify}, tester, now).error(), AccessKeys::Refusal::bad_name);
  EXPECT_EQ(keys.create({.name = std::string(65, 'n'), .scopes = verify}, tester, now).error(),
            AccessKeys::Refusal::bad_name);
  EXPECT_TRUE(keys.create({.name = std::string(64, 'n'), .scopes = verify}, tester, now).has_value());
  EXPECT_EQ(keys.create({.name = "k", .scopes = 0}, tester, now).error(), AccessKeys::Refusal::no_scopes);
  EXPECT_EQ(keys.create({.name = "k", .scopes = 64}, tester, now).error(), AccessKeys::Refusal::no_scopes);
}

TEST_F(AccessKeysTest, AnswersReadersWhileKeysComeAndGo) {
  const NewAccessKey constant = *keys.create({.name = "constant", .scopes = verify}, tester, now);
  std::atomic<bool> done{false};
  std::atomic<unsigned> refused{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      const engine::RcuThread registered;
      while (!done) refused += keys.authenticate(constant.key, here, now) ? 0 : 1;
    });
  }
  for (int i = 0; i < 50; ++i) {
    const NewAccessKey passing = *keys.create({.name = "passing", .scopes = verify}, tester, now);
    EXPECT_TRUE(keys.authenticate(passing.key, here, now).has_value());
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
