#include "api/access_keys.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "engine/rcu.h"
#include "scratch_store.h"
#include "tests/engine/allocation_counter.h"

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

using Reason = AccessKeys::Denied::Reason;
constexpr std::int64_t hour_s = 3600;
engine::UnixMillis after(std::int64_t seconds) {
  return {now.value + seconds * 1000};
}

TEST_F(AccessKeysTest, EndWhenTheyExpire) {
  const NewAccessKey made =
      *keys.create({.name = "k", .scopes = verify, .expires_at_s = now.seconds() + hour_s}, tester, now);
  const auto granted = keys.authenticate(made.key, here, after(hour_s - 1));
  ASSERT_TRUE(granted);
  EXPECT_TRUE(granted->valid_at(after(hour_s - 1)));
  EXPECT_FALSE(granted->valid_at(after(hour_s))) << "whoever keeps what was granted sees its end too";
  EXPECT_EQ(keys.authenticate(made.key, here, after(hour_s)).error().reason, Reason::expired);
  EXPECT_EQ(keys.granted(granted->id, here, after(hour_s)).error().reason, Reason::expired);
  std::string wrong = made.key;
  wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
  EXPECT_EQ(keys.authenticate(wrong, here, after(hour_s)).error().reason, Reason::unknown) << "nobody else learns of it";
}

TEST_F(AccessKeysTest, AreUsedFromTheirAddressesAlone) {
  AccessKeyTerms terms{.name = "k", .scopes = verify};
  terms.address_ranges = {"10.1.0.0/16", "2001:db8::/32", "192.0.2.7/32"};
  const NewAccessKey made = *keys.create(terms, tester, now);
  EXPECT_EQ(made.view.address_ranges, (std::vector<std::string>{"10.1.0.0/16", "2001:db8::/32", "192.0.2.7"}));
  const AccessKeys again(scratch.store(), committer);
  for (const AccessKeys* const one : {const_cast<const AccessKeys*>(&keys), &again}) {
    const auto from = [&](const char* address) {
      return one->authenticate(made.key, boost::asio::ip::make_address(address), now).has_value();
    };
    EXPECT_TRUE(from("10.1.255.255"));
    EXPECT_TRUE(from("::ffff:10.1.0.1")) << "a v4 client on a v6 socket";
    EXPECT_TRUE(from("2001:db8:1::1"));
    EXPECT_TRUE(from("192.0.2.7"));
    EXPECT_FALSE(from("10.2.0.1"));
    EXPECT_FALSE(from("2001:db9::1"));
    EXPECT_FALSE(from("0.0.0.0")) << "a client that is gone already";
  }
  const auto denied = keys.authenticate(made.key, boost::asio::ip::make_address("10.2.0.1"), now).error();
  EXPECT_EQ(denied.reason, Reason::wrong_address);
  EXPECT_EQ(denied.id, keys.authenticate(made.key, here, now)->id);
}

TEST_F(AccessKeysTest, RefuseTermsThatMakeNoSense) {
  using Refusal = AccessKeys::Refusal;
  const auto refusal = [&](AccessKeyTerms terms) {
    terms.name = "k";
    terms.scopes = verify;
    return keys.create(std::move(terms), tester, now).error();
  };
  EXPECT_EQ(refusal({.expires_at_s = now.seconds()}), Refusal::bad_expiry);
  EXPECT_EQ(refusal({.expires_at_s = -1}), Refusal::bad_expiry);
  EXPECT_EQ(refusal({.expires_at_s = now.seconds() + AccessKeys::lifetime_s_max + 1}), Refusal::bad_expiry);
  for (const char* const range : {"", "10.0.0.0/33", "10.1.2.3/8", "::1/0", "all", "10.0.0.0/8 "}) {
    EXPECT_EQ(refusal({.address_ranges = {range}}), Refusal::bad_address_range) << range;
  }
  EXPECT_EQ(refusal({.address_ranges = std::vector<std::string>(65, "10.0.0.0/8")}), Refusal::bad_address_range);
  EXPECT_EQ(refusal({.requests_per_second = 1'000'001}), Refusal::bad_rate);
}

TEST_F(AccessKeysTest, RotateWithoutCuttingAnybodyOff) {
  const NewAccessKey first = *keys.create({.name = "k", .scopes = verify}, tester, now);
  const NewAccessKey second = *keys.rotate(first.view.id, {.overlap_s = hour_s}, tester, now);
  EXPECT_EQ(second.view.id, first.view.id);
  EXPECT_NE(second.key, first.key);
  EXPECT_EQ(second.view.old_until_s, now.seconds() + hour_s);
  const AccessKeys again(scratch.store(), committer);
  for (const AccessKeys* const one : {const_cast<const AccessKeys*>(&keys), &again}) {
    EXPECT_EQ(one->authenticate(first.key, here, now)->id, one->authenticate(second.key, here, now)->id)
        << "one caller, whichever of its secrets it shows";
    EXPECT_FALSE(one->authenticate(first.key, here, now)->valid_at(after(hour_s)));
    EXPECT_EQ(one->authenticate(first.key, here, after(hour_s)).error().reason, Reason::expired);
    EXPECT_TRUE(one->authenticate(second.key, here, after(hour_s)));
  }
  // The answer was lost; whoever holds the first one goes on, to the same end.
  const NewAccessKey third = *keys.rotate(first.view.id, {.overlap_s = 2 * hour_s}, tester, now);
  EXPECT_TRUE(keys.authenticate(first.key, here, after(hour_s - 1)));
  EXPECT_FALSE(keys.authenticate(first.key, here, after(hour_s)));
  EXPECT_TRUE(keys.authenticate(second.key, here, after(2 * hour_s - 1)));
  // It leaked: no old one counts from now on.
  const NewAccessKey fourth = *keys.rotate(first.view.id, {.overlap_s = 0}, tester, now);
  for (const NewAccessKey& old : {first, second, third}) EXPECT_FALSE(keys.authenticate(old.key, here, now));
  EXPECT_TRUE(keys.authenticate(fourth.key, here, now));
}

TEST_F(AccessKeysTest, RotateOnlyWhatCountsAndNotForEver) {
  using Refusal = AccessKeys::Refusal;
  const NewAccessKey made =
      *keys.create({.name = "k", .scopes = verify, .expires_at_s = now.seconds() + hour_s}, tester, now);
  EXPECT_EQ(keys.rotate("0123456789abcdef", {}, tester, now).error(), Refusal::not_found);
  EXPECT_EQ(keys.rotate("", {}, tester, now).error(), Refusal::not_found);
  EXPECT_EQ(keys.rotate(made.view.id, {.overlap_s = -1}, tester, now).error(), Refusal::bad_overlap);
  EXPECT_EQ(keys.rotate(made.view.id, {.overlap_s = AccessKeys::overlap_s_max + 1}, tester, now).error(),
            Refusal::bad_overlap);
  EXPECT_EQ(keys.rotate(made.view.id, {.expires_at_s = now.seconds() - 1}, tester, now).error(), Refusal::bad_expiry);
  EXPECT_EQ(keys.rotate(made.view.id, {}, tester, after(hour_s)).error(), Refusal::expired);
  const NewAccessKey renewed =
      *keys.rotate(made.view.id, {.expires_at_s = now.seconds() + 3 * hour_s}, tester, after(hour_s));
  EXPECT_TRUE(keys.authenticate(renewed.key, here, after(2 * hour_s)));
  for (std::size_t i = 1; i < AccessKeys::old_secrets_max; ++i) ASSERT_TRUE(keys.rotate(made.view.id, {}, tester, now)) << i;
  EXPECT_EQ(keys.rotate(made.view.id, {}, tester, now).error(), Refusal::too_many_secrets);
}

TEST_F(AccessKeysTest, DoNotCountAnExpiredKeyAsTheLastAdmin) {
  const NewAccessKey lasting = *keys.create({.name = "a", .scopes = admin}, tester, now);
  const NewAccessKey passing =
      *keys.create({.name = "b", .scopes = admin, .expires_at_s = now.seconds() + hour_s}, tester, now);
  EXPECT_EQ(keys.revoke(lasting.view.id, tester, after(hour_s)).error(), AccessKeys::Refusal::last_admin);
  EXPECT_TRUE(keys.revoke(passing.view.id, tester, after(hour_s))) << "what has ended anyway may go";
}

TEST_F(AccessKeysTest, RememberTheirLastUseAcrossAReopening) {
  const NewAccessKey made = *keys.create({.name = "k", .scopes = verify}, tester, now);
  EXPECT_EQ(keys.list()[0].last_used_at_s, 0);
  EXPECT_EQ(keys.authenticate(made.key, here, now)->spend(now), 0);
  EXPECT_EQ(keys.list()[0].last_used_at_s, now.seconds());
  keys.authenticate(made.key, here, now)->spend(after(KeyUse::coarse_s - 1));
  EXPECT_EQ(keys.list()[0].last_used_at_s, now.seconds()) << "to a minute";
  keys.look_after(after(1), true);
  EXPECT_EQ(AccessKeys(scratch.store(), committer).list()[0].last_used_at_s, now.seconds());
  ASSERT_TRUE(keys.rotate(made.view.id, {}, tester, now));
  EXPECT_EQ(keys.list()[0].last_used_at_s, now.seconds());
}

TEST_F(AccessKeysTest, WriteTheLastUseRarely) {
  const NewAccessKey made = *keys.create({.name = "k", .scopes = verify}, tester, now);
  const auto written = [&] { return AccessKeys(scratch.store(), committer).list()[0].last_used_at_s; };
  keys.look_after(now, false);
  keys.authenticate(made.key, here, now)->spend(after(60));
  for (int i = 0; i < 299; ++i) keys.look_after(after(i), false);
  EXPECT_EQ(written(), 0);
  keys.look_after(after(300), false);
  EXPECT_EQ(written(), now.seconds() + 60);
}

TEST_F(AccessKeysTest, ReadKeysOfTheFirstFormatAndNoneOfALaterOne) {
  const NewAccessKey made = *keys.create({.name = "k", .scopes = verify}, tester, now);
  const std::string document = scratch.store().documents("api-key/").front().second;
  const std::size_t digest = document.find(R"("sha256":")") + 10;
  const auto put = [&](const std::string& text) {
    engine::Change change;
    change.put_documents.emplace_back("api-key/" + made.view.id, text);
    ASSERT_EQ(committer.commit(change), engine::Outcome::durable);
  };
  put(R"({"name":"old","scopes":["verify"],"created_at_s":1795528800,"sha256":")" + document.substr(digest, 64) + R"("})");
  AccessKeys old(scratch.store(), committer);
  EXPECT_EQ(old.authenticate(made.key, here, now)->scopes, verify);
  EXPECT_EQ(old.list()[0].name, "old");
  ASSERT_TRUE(old.rotate(made.view.id, {}, tester, now));
  EXPECT_TRUE(AccessKeys(scratch.store(), committer).authenticate(made.key, here, now));
  put(R"({"format":3,"name":"new","scopes":["verify"],"created_at_s":1795528800})");
  EXPECT_THROW(AccessKeys(scratch.store(), committer), engine::StoreError);
}

TEST_F(AccessKeysTest, AllocateNothingWhenTheyAreUsed) {
  AccessKeyTerms terms{.name = "k", .scopes = verify, .expires_at_s = now.seconds() + hour_s};
  terms.address_ranges = {"10.1.0.0/16", "192.0.2.0/24"};
  terms.requests_per_second = 1'000'000;
  const NewAccessKey made = *keys.create(terms, tester, now);
  ASSERT_TRUE(keys.rotate(made.view.id, {}, tester, now));
  ASSERT_TRUE(keys.authenticate(made.key, here, now));
  const std::uint64_t before = engine::test::allocations_of_this_thread();
  bool granted = true;
  for (int i = 0; i < 10; ++i) granted &= keys.authenticate(made.key, here, now)->spend(after(i * 100)) == 0;
  granted &= !keys.authenticate("ww_0123456789abcdef_0123456789abcdef0123456789abcdef01234567890", here, now);
  EXPECT_EQ(engine::test::allocations_of_this_thread(), before);
  EXPECT_TRUE(granted);
}

TEST(KeyUse, GivesASecondsWorthAtOnceAndThenTheRate) {
  KeyUse use(0);
  constexpr std::int64_t interval = 100'000'000;  // ten a second
  constexpr std::int64_t begin = 5'000'000'000'000;
  int given = 0;
  while (use.take(begin, interval) == 0) ++given;
  EXPECT_EQ(given, 10);
  EXPECT_EQ(use.take(begin, interval), interval);
  EXPECT_EQ(use.take(begin + interval, interval), 0);
  EXPECT_EQ(use.take(begin + interval, interval), interval) << "a refusal costs nothing, and gives nothing";
  EXPECT_EQ(use.take(begin + 100 * interval, interval), 0) << "what was not used is not saved up";
  int more = 1;
  while (use.take(begin + 100 * interval, interval) == 0) ++more;
  EXPECT_EQ(more, 10);
}

TEST(KeyUse, GivesNoMoreThanItsRateToManyThreads) {
  KeyUse use(0);
  constexpr std::int64_t interval = 1'000'000;  // a thousand
  std::atomic<int> given{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 2000; ++k) given += use.take(1'000'000'000'000, interval) == 0 ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(given, 1000);
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
