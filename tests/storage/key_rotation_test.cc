// Sealing anew beside writes, and the rows of keys.
#include <atomic>
#include <thread>

#include "storage/files.h"
#include "storage/master_key.h"
#include "storage/rocksdb/format.h"
#include "storage/rocksdb/key_table.h"
#include "storage/sealed_keys.h"
#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

class Rotation : public StoreTest {
 protected:
  auto rotate(const std::string& new_master_key_file = "") {
    return store->rotate_keys({.new_master_key_file = new_master_key_file, .now = {1'900'000'000'000}},
                              [this](Change& change) { return write(change); });
  }
  void await_end() {
    for (int i = 0; i < 2000 && store->keys().resealing; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_FALSE(store->keys().resealing);
  }
  std::filesystem::path new_key_file(const std::string& name) {
    const std::filesystem::path file = parent / name;
    write_file_durably(file, std::string(64, name.front()) + "\n");
    return file;
  }
  // Of the row as it is on disk; the store is closed for it.
  std::optional<std::uint32_t> seal_of(const std::string& user) {
    store.reset();
    std::string row;
    {
      const OpenedDatabase opened = open_existing(options);
      const rocksdb::Status status = opened.database.db->Get({}, opened.database.registrations[shard_of(user)], user, &row);
      EXPECT_TRUE(status.ok());
    }
    open();
    return oldest_seal(user, row);
  }
};

TEST_F(Rotation, SealsEverySecretAnewAndDestroysTheOldKey) {
  open();
  for (int i = 0; i < 500; ++i) put(person("user-" + std::to_string(i), i % 3));
  put(person("ada", 2));
  const auto before = store->load("ada");
  EXPECT_EQ(seal_of("ada"), 1u);
  ASSERT_TRUE(rotate());
  await_end();
  EXPECT_EQ(store->keys().data_keys.size(), 1u);
  EXPECT_EQ(store->keys().data_keys.back().version, 2u);
  EXPECT_EQ(store->keys().data_keys.back().made_at_s, 1'900'000'000);
  EXPECT_EQ(seal_of("ada"), 2u);
  const auto after = store->load("ada");
  EXPECT_EQ(after->record.devices[1].secret.bytes(), before->record.devices[1].secret.bytes());
  EXPECT_EQ(after->record.version, before->record.version);
}

TEST_F(Rotation, WhatIsWrittenMeanwhileIsUnderTheNewKeyAndNotOverwritten) {
  options.reseal_rows_per_s_max = 3000;
  open();
  std::vector<UserRecord> people;
  for (int i = 0; i < 1500; ++i) {
    people.push_back(person("user-" + std::to_string(i)));
    put(people.back());
  }
  ASSERT_TRUE(rotate());
  put(person("late"));
  std::uint64_t version = 0;
  while (store->keys().resealing) {
    ++version;
    for (std::size_t i = version % 7; i < people.size(); i += 7) {
      people[i].version = version;
      put(people[i]);
    }
    Change change;
    const std::size_t gone = people.size() - 1;
    if (people.size() > 1200) {
      change.erase_users.emplace_back(people[gone].user, people[gone].number);
      ASSERT_EQ(write(change), Outcome::durable);
      people.pop_back();
    }
  }
  EXPECT_GT(version, 0u);
  for (const UserRecord& user : people) {
    const auto loaded = store->load(user.user);
    ASSERT_TRUE(loaded);
    ASSERT_EQ(loaded->record.version, user.version) << user.user;
    ASSERT_EQ(loaded->record.devices[0].secret.bytes(), user.devices[0].secret.bytes());
  }
  for (std::size_t i = people.size(); i < 1500; ++i) EXPECT_FALSE(store->load("user-" + std::to_string(i)));
  EXPECT_EQ(seal_of("late"), 2u);
  EXPECT_EQ(store->keys().data_keys.size(), 1u);
}

TEST_F(Rotation, IsTakenUpAgainAfterAStart) {
  options.reseal_rows_per_s_max = 400;
  open();
  for (int i = 0; i < 600; ++i) put(person("user-" + std::to_string(i)));
  ASSERT_TRUE(rotate());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::uint64_t done = store->keys().rows_done;
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, 600u);
  EXPECT_EQ(rotate().error().refusal, RotationRefusal::running);
  options.reseal_rows_per_s_max = 0;
  reopen();
  await_end();
  EXPECT_EQ(store->keys().rows_done, 600u) << "what was done is not done again";
  EXPECT_EQ(store->keys().data_keys.size(), 1u);
}

TEST_F(Rotation, ADamagedRowKeepsTheOldKey) {
  open();
  put(person("ada"));
  put(person("bob"));
  store.reset();
  {
    const OpenedDatabase opened = open_existing(options);
    rocksdb::ColumnFamilyHandle* const family = opened.database.registrations[shard_of("bob")];
    std::string row;
    ASSERT_TRUE(opened.database.db->Get({}, family, "bob", &row).ok());
    row.back() = static_cast<char>(row.back() ^ 1);
    ASSERT_TRUE(opened.database.db->Put({}, family, "bob", row).ok());
  }
  open();
  ASSERT_TRUE(rotate());
  await_end();
  EXPECT_EQ(store->keys().rows_unreadable, 1u);
  EXPECT_EQ(store->keys().data_keys.size(), 2u);
  EXPECT_EQ(seal_of("ada"), 2u);
}

TEST_F(Rotation, EitherMasterKeyOpensUntilTheNewOneIsInPlace) {
  options.master_key_file = new_key_file("a.key");
  std::filesystem::remove_all(options.data_dir);
  init_data_dir(options);
  open();
  put(person("ada"));
  // A directory in the way: the file cannot be replaced.
  const std::filesystem::path in_the_way = options.master_key_file.string() + ".old";
  std::filesystem::create_directories(in_the_way / "x");
  const auto rotated = rotate(new_key_file("b.key"));
  ASSERT_TRUE(rotated);
  EXPECT_NE(rotated->next_master_key, "");
  EXPECT_EQ(rotate().error().refusal, RotationRefusal::master_key_pending);
  reopen();
  EXPECT_TRUE(store->load("ada"));
  EXPECT_EQ(store->keys().next_master_key, rotated->next_master_key);
  store.reset();
  std::filesystem::copy_file(parent / "b.key", options.master_key_file, std::filesystem::copy_options::overwrite_existing);
  open();
  EXPECT_TRUE(store->load("ada"));
  EXPECT_EQ(store->keys().master_key, rotated->next_master_key);
  EXPECT_EQ(store->keys().next_master_key, "");
  store.reset();
  options.master_key_file = new_key_file("a.key");
  EXPECT_NE(refusal(), "") << "the old one opens nothing any more";
}

TEST_F(Rotation, AMasterKeyThatIsNoneOrThePresentOneIsRefused) {
  open();
  const KeysReport before = store->keys();
  EXPECT_EQ(rotate(parent / "nowhere").error().refusal, RotationRefusal::new_master_key);
  EXPECT_EQ(rotate(options.data_dir / "master.key").error().refusal, RotationRefusal::new_master_key);
  EXPECT_EQ(store->keys().master_key, before.master_key);
  std::filesystem::copy_file(new_key_file("c.key"), options.data_dir / "master.key",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(rotate().error().refusal, RotationRefusal::master_key);
}

TEST(SealedKeys, ARowOfAnotherNameVersionOrTimeDoesNotOpen) {
  const SecretBytes master = SecretBytes::random(32);
  const KeyRows rows = make_key_rows(master, 1'800'000'000);
  EXPECT_TRUE(opens(master, rows));
  EXPECT_FALSE(opens(SecretBytes::random(32), rows));
  KeyRows swapped = rows;
  std::swap(swapped["hash"], swapped["audit"]);
  EXPECT_THROW(open_keys(master, swapped), OpenError);
  KeyRows renumbered = rows;
  renumbered[data_key_row_name(2)] = rows.at(data_key_row_name(1));
  EXPECT_THROW(open_keys(master, renumbered), OpenError);
  KeyRows redated = rows;
  redated[data_key_row_name(1)][0] ^= 1;
  EXPECT_THROW(open_keys(master, redated), OpenError);
  KeyRows missing = rows;
  missing.erase("audit");
  EXPECT_THROW(open_keys(master, missing), OpenError);
}

TEST(SealedKeys, TheSameKeysOpenUnderANewMasterKey) {
  const SecretBytes master = SecretBytes::random(32), next = SecretBytes::random(32);
  const KeyRows rows = make_key_rows(master, 1'800'000'000);
  const KeyRows anew = seal_anew(master, next, rows);
  EXPECT_FALSE(opens(master, anew));
  const KeyRing before = open_keys(master, rows), after = open_keys(next, anew);
  EXPECT_EQ(before.hash_key().bytes(), after.hash_key().bytes());
  const SecretBytes secret = SecretBytes::random(20);
  EXPECT_EQ(after.open("ada", DeviceId{1}, before.seal("ada", DeviceId{1}, secret))->bytes(), secret.bytes());
}

TEST(SealedKeys, ARingOpensWhatItsOlderKeysSealed) {
  const SecretBytes master = SecretBytes::random(32), secret = SecretBytes::random(20);
  KeyRing ring = open_keys(master, make_key_rows(master, 0));
  const std::string old = ring.seal("ada", DeviceId{1}, secret);
  ring.add({.version = 2, .made_at_s = 0, .key = SecretBytes::random(32)});
  EXPECT_EQ(sealing_version(old), 1u);
  EXPECT_EQ(sealing_version(ring.seal("ada", DeviceId{1}, secret)), 2u);
  EXPECT_EQ(ring.open("ada", DeviceId{1}, old)->bytes(), secret.bytes());
}

}  // namespace
}  // namespace watchword::storage::test
