#include "engine/bulk_registration.h"

#include <gtest/gtest.h>

#include "engine/retired_secrets.h"
#include "engine/words.h"
#include "tests/engine/memory_store.h"

namespace watchword::engine {
namespace {

constexpr UnixMillis now{1'800'000'000'000};

BulkRow row(const std::string& user, const std::string& name, std::uint8_t seed, std::size_t bytes = 20) {
  return {*UserName::parse(user), name, SecretBytes(std::vector<std::uint8_t>(bytes, seed)), {}};
}

TEST(BulkRegistration, BringsDevicesInActive) {
  test::MemoryStore store;
  BulkRegistration bulk(store, {}, now);
  EXPECT_EQ(bulk.add(row("ada", "phone", 1)), Imported::added);
  EXPECT_EQ(bulk.add(row("bob", "phone", 2)), Imported::added);
  EXPECT_EQ(bulk.add(row("ada", "tablet", 3)), Imported::added);
  bulk.finish();
  const auto ada = store.load("ada");
  ASSERT_TRUE(ada);
  ASSERT_EQ(ada->record.devices.size(), 2u);
  EXPECT_EQ(ada->record.devices[1].status, DeviceStatus::active);
  EXPECT_TRUE(ada->record.devices[1].enabled);
  EXPECT_NE(ada->record.devices[0].slot, ada->record.devices[1].slot);
  EXPECT_NE(store.load("bob")->record.number, ada->record.number);
  EXPECT_EQ(bulk.devices(), 3u);
  EXPECT_EQ(bulk.new_users(), 2u);
}

TEST(BulkRegistration, SaysWhyARowIsRefusedAndKeepsTheOthers) {
  test::MemoryStore store;
  BulkRegistration bulk(store, {.devices_max = 2}, now);
  EXPECT_EQ(bulk.add(row("ada", "phone", 1)), Imported::added);
  EXPECT_EQ(bulk.add(row("ada", "phone", 2)), tl::unexpected(Refusal::name_taken));
  EXPECT_EQ(bulk.add(row("ada", "other", 1)), tl::unexpected(Refusal::secret_registered));
  EXPECT_EQ(bulk.add(row("ada", "short", 3, 15)), tl::unexpected(Refusal::secret_too_short));
  EXPECT_EQ(bulk.add(row("ada", "long", 3, 257)), tl::unexpected(Refusal::secret_too_long));
  EXPECT_EQ(bulk.add(row("ada", "sixteen", 3, 16)), Imported::added);
  EXPECT_EQ(bulk.add(row("ada", "third", 4)), tl::unexpected(Refusal::device_limit));
  EXPECT_EQ(bulk.add(row("eve", "short", 3, 15)), tl::unexpected(Refusal::secret_too_short));
  bulk.finish();
  EXPECT_EQ(store.load("ada")->record.devices.size(), 2u);
  EXPECT_FALSE(store.load("eve")) << "a user without a device is none";
}

TEST(BulkRegistration, FindsUsersAgainWhereverTheyWereWritten) {
  test::MemoryStore store;
  {
    BulkRegistration bulk(store, {}, now);
    EXPECT_EQ(bulk.add(row("ada", "phone", 1)), Imported::added);
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(bulk.add(row("user-" + std::to_string(i), "phone", 2)), Imported::added);
    EXPECT_EQ(bulk.add(row("ada", "phone", 3)), tl::unexpected(Refusal::name_taken)) << "written out with an earlier batch";
    EXPECT_EQ(bulk.add(row("ada", "tablet", 3)), Imported::added);
    bulk.finish();
  }
  const UserNumber number = store.load("ada")->record.number;
  BulkRegistration bulk(store, {}, now);
  EXPECT_EQ(bulk.add(row("ada", "phone", 4)), tl::unexpected(Refusal::name_taken)) << "there before this import";
  EXPECT_EQ(bulk.add(row("ada", "watch", 4)), Imported::added);
  bulk.finish();
  EXPECT_EQ(store.load("ada")->record.devices.size(), 3u);
  EXPECT_EQ(store.load("ada")->record.number, number);
}

TEST(BulkRegistration, TheSameRowsAgainChangeNothing) {
  test::MemoryStore store;
  {
    BulkRegistration bulk(store, {.devices_max = 1}, now);
    EXPECT_EQ(bulk.add(row("ada", "phone", 1)), Imported::added);
    EXPECT_EQ(bulk.add(row("ada", "phone", 1)), Imported::present) << "in the same batch";
    EXPECT_EQ(bulk.add(row("bob", "phone", 2)), Imported::added);
    bulk.finish();
  }
  const auto before = store.load("ada");
  BulkRegistration bulk(store, {.devices_max = 1}, UnixMillis{now.value + 1000});
  EXPECT_EQ(bulk.add(row("ada", "phone", 1)), Imported::present) << "there before, and as many devices as are allowed";
  EXPECT_EQ(bulk.add(row("ada", "tablet", 1)), tl::unexpected(Refusal::secret_registered));
  EXPECT_EQ(bulk.add(row("ada", "phone", 3)), tl::unexpected(Refusal::name_taken));
  EXPECT_EQ(bulk.add(row("bob", "phone", 2)), Imported::present);
  bulk.finish();
  EXPECT_EQ(bulk.devices(), 0u);
  EXPECT_EQ(bulk.new_users(), 0u);
  EXPECT_EQ(store.load("ada")->record.version, before->record.version) << "nothing is written again";
  EXPECT_EQ(store.load("ada")->record.devices[0].id, before->record.devices[0].id);
}

TEST(BulkRegistration, APendingRegistrationThatRanOutIsInNobodysWay) {
  test::MemoryStore store;
  LoadedUser ada;
  ada.record.user = "ada";
  ada.record.number = store.allocate_number("ada");
  DeviceRecord pending;
  pending.id = DeviceId{7};
  pending.name = "phone";
  pending.status = DeviceStatus::pending;
  pending.expires_at_s = now.seconds() - 1;
  pending.secret = SecretBytes(std::vector<std::uint8_t>(20, 1));
  ada.record.next_slot = 1;
  ada.record.devices.push_back(std::move(pending));
  store.put_bulk({&ada.record, 1});
  BulkRegistration bulk(store, {}, now);
  EXPECT_EQ(bulk.add(row("ada", "phone", 2)), Imported::added);
  bulk.finish();
  ASSERT_EQ(store.load("ada")->record.devices.size(), 1u);
  EXPECT_EQ(store.load("ada")->record.devices[0].status, DeviceStatus::active);
}

TEST(BulkRegistration, ASecretThatWasRemovedComesBackWithItsUsedStep) {
  test::MemoryStore store;
  const SecretBytes secret(std::vector<std::uint8_t>(20, 7));
  Change change;
  change.put_documents.emplace_back(retired_secret_name(store.hash_key(), secret, {}),
                                    RetiredSecret::after(60'000'000, 30).text());
  const Change* const changes[] = {&change};
  Outcome outcome = Outcome::failed;
  store.advance({}, changes, {}, {&outcome, 1});
  BulkRegistration bulk(store, {}, now);
  EXPECT_EQ(bulk.add(row("ada", "phone", 7)), Imported::added);
  EXPECT_EQ(bulk.add(row("bob", "phone", 8)), Imported::added);
  bulk.finish();
  EXPECT_EQ(ReplayWord{store.load("ada")->replay[0].word}.last_step(), 60'000'000);
  EXPECT_FALSE(ReplayWord{store.load("bob")->replay[0].word}.used());
}

}  // namespace
}  // namespace watchword::engine
