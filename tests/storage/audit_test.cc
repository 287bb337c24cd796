// The audit trail: what is written is found again, and no damage from outside goes unseen.
#include "storage/audit.h"

#include <rocksdb/db.h>

#include "storage/rocksdb/rocks_store.h"
#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

class AuditTrail : public StoreTest {
 protected:
  AuditTrail() {
    open();
    for (int i = 1; i <= entries; ++i) record(i, i % 2 == 0 ? "ada" : "bob", i % 3 == 0 ? "device.remove" : "device.begin");
  }

  static constexpr int entries = 12;
  static constexpr std::int64_t base_ms = 1'795'528'800'000;

  static AuditEntry entry(std::int64_t second, const std::string& user, const std::string& action) {
    return {.at = {base_ms + second * 1000},
            .origin = {.actor = "key:0000000000000001", .address = "192.0.2.7", .trace = "t" + std::to_string(second)},
            .action = action,
            .user = user,
            .device = "00000000000000ab",
            .detail = R"({"name":"phone"})"};
  }
  void record(std::int64_t second, const std::string& user, const std::string& action) {
    Change change;
    change.audit.push_back(entry(second, user, action));
    ASSERT_EQ(write(change), Outcome::durable);
  }
  // Works on the rows themselves, as somebody does who owns the disk.
  template <class Action>
  void tamper(Action action) {
    store.reset();
    const OpenedDatabase opened = open_existing(options);
    action(*opened.database.db, opened.database.audit);
  }
  static std::string key(std::uint64_t sequence) { return encode_big_endian(sequence); }
  AuditVerdict verify(const std::optional<std::string>& head = std::nullopt) {
    store.reset();
    return verify_audit(options, head);
  }
  std::string head() {
    store.reset();
    return audit_head(options);
  }
};

TEST_F(AuditTrail, HoldsWhatWasWrittenOverRestarts) {
  reopen();
  record(entries + 1, "ada", "user.unlock");
  const AuditPage page = store->audit({});
  ASSERT_EQ(page.rows.size(), std::size_t{entries + 1});
  EXPECT_EQ(page.rows.front().sequence, std::uint64_t{entries + 1});
  EXPECT_EQ(page.rows.back().entry, entry(1, "bob", "device.begin"));
  EXPECT_TRUE(verify().intact);
}

TEST_F(AuditTrail, IsFoundByTimeUserAndAction) {
  EXPECT_EQ(store->audit({.user = "ada"}).rows.size(), 6u);
  EXPECT_EQ(store->audit({.action = "device.remove"}).rows.size(), 4u);
  EXPECT_EQ(store->audit({.user = "ada", .action = "device.remove"}).rows.size(), 2u);
  EXPECT_EQ(store->audit({.user = "ad"}).rows.size(), 0u);
  const AuditPage page = store->audit({.from = {base_ms + 3000}, .to = {base_ms + 5000}});
  ASSERT_EQ(page.rows.size(), 2u);
  EXPECT_EQ(page.rows[0].sequence, 4u);
  EXPECT_EQ(page.rows[1].sequence, 3u);
}

TEST_F(AuditTrail, IsReadInPagesWithoutGapOrRepetition) {
  AuditQuery query{.limit = 5};
  std::vector<std::uint64_t> seen;
  for (;;) {
    const AuditPage page = store->audit(query);
    for (const AuditRow& row : page.rows) seen.push_back(row.sequence);
    if (!page.next) break;
    query.before = *page.next;
  }
  ASSERT_EQ(seen.size(), std::size_t{entries});
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], entries - i);
}

TEST_F(AuditTrail, IsReadOnwardsFromANumber) {
  EXPECT_EQ(store->audit_last(), std::uint64_t{entries});
  const std::vector<AuditRow> rows = store->audit_after(3, 4);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows.front().sequence, 4u);
  EXPECT_EQ(rows.front().entry, entry(4, "ada", "device.begin"));
  EXPECT_EQ(rows.back().sequence, 7u);
  EXPECT_TRUE(store->audit_after(entries, 4).empty());
  reopen();
  EXPECT_EQ(store->audit_last(), std::uint64_t{entries});
  record(20, "ada", "user.unlock");
  EXPECT_EQ(store->audit_after(entries, 4).size(), 1u);
}

TEST_F(AuditTrail, BreaksAtAFlippedBit) {
  for (const std::size_t byte : {std::size_t{0}, std::size_t{5}, std::size_t{40}, std::size_t{90}}) {
    tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
      std::string value;
      ASSERT_TRUE(db.Get({}, family, key(7), &value).ok());
      value[byte] = static_cast<char>(value[byte] ^ 1);
      ASSERT_TRUE(db.Put({}, family, key(7), value).ok());
    });
    const AuditVerdict verdict = verify();
    EXPECT_FALSE(verdict.intact) << byte;
    EXPECT_EQ(verdict.broken_at, 7u);
    tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
      std::string value;
      ASSERT_TRUE(db.Get({}, family, key(7), &value).ok());
      value[byte] = static_cast<char>(value[byte] ^ 1);
      ASSERT_TRUE(db.Put({}, family, key(7), value).ok());
    });
  }
  EXPECT_TRUE(verify().intact);
}

TEST_F(AuditTrail, BreaksAtADeletedEntry) {
  tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) { ASSERT_TRUE(db.Delete({}, family, key(7)).ok()); });
  EXPECT_EQ(verify().broken_at, 7u);
}

TEST_F(AuditTrail, BreaksWhereTheFrontWasCutOff) {
  tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) { ASSERT_TRUE(db.Delete({}, family, key(1)).ok()); });
  EXPECT_FALSE(verify().intact);
}

TEST_F(AuditTrail, BreaksAtAnAddedEntry) {
  tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
    std::string value;
    ASSERT_TRUE(db.Get({}, family, key(entries), &value).ok());
    ASSERT_TRUE(db.Put({}, family, key(entries + 1), value).ok());
  });
  EXPECT_EQ(verify().broken_at, std::uint64_t{entries + 1});
}

TEST_F(AuditTrail, BreaksAtReorderedEntries) {
  tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
    std::string third, fourth;
    ASSERT_TRUE(db.Get({}, family, key(3), &third).ok());
    ASSERT_TRUE(db.Get({}, family, key(4), &fourth).ok());
    ASSERT_TRUE(db.Put({}, family, key(3), fourth).ok());
    ASSERT_TRUE(db.Put({}, family, key(4), third).ok());
  });
  EXPECT_EQ(verify().broken_at, 3u);
}

TEST_F(AuditTrail, ACutTailShowsAgainstASavedHead) {
  const std::string saved = head();
  open();
  record(20, "ada", "user.unlock");
  EXPECT_TRUE(verify(saved).intact);
  tamper([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
    ASSERT_TRUE(db.Delete({}, family, key(entries + 1)).ok());
    ASSERT_TRUE(db.Delete({}, family, key(entries)).ok());
  });
  EXPECT_TRUE(verify().intact);
  const AuditVerdict verdict = verify(saved);
  EXPECT_FALSE(verdict.intact);
  EXPECT_EQ(verdict.broken_at, std::uint64_t{entries});
}

TEST_F(AuditTrail, AForgedHeadIsNoHead) {
  std::string saved = head();
  saved.back() = saved.back() == '0' ? '1' : '0';
  EXPECT_FALSE(verify(saved).intact);
}

TEST_F(AuditTrail, EndsItsOldEntriesByAgeAndStillHolds) {
  const std::string saved = head();
  {
    OpenedDatabase opened = open_existing(options);
    Database& database = opened.database;
    AuditChain chain(*database.db, database.documents, database.audit, database.audit_index, opened.keys.audit_key());
    EXPECT_EQ(chain.retire({base_ms + 6000}, 3), 3u);
    EXPECT_EQ(chain.retire({base_ms + 6000}, 100), 2u);
    EXPECT_EQ(chain.retire({base_ms + 6000}, 100), 0u);
    EXPECT_EQ(chain.query({}).rows.size(), 7u);
    EXPECT_EQ(chain.query({.to = {base_ms + 6000}, .user = "bob"}).rows.size(), 0u);
  }
  const AuditVerdict verdict = verify(saved);
  EXPECT_TRUE(verdict.intact) << verdict.reason;
  EXPECT_EQ(verdict.first, 6u);
  EXPECT_EQ(verdict.last, std::uint64_t{entries});
}

TEST_F(AuditTrail, KeepsTheNewestEntryHoweverOld) {
  store.reset();
  OpenedDatabase opened = open_existing(options);
  Database& database = opened.database;
  AuditChain chain(*database.db, database.documents, database.audit, database.audit_index, opened.keys.audit_key());
  chain.retire({base_ms * 2}, 1000);
  EXPECT_EQ(chain.query({}).rows.size(), 1u);
}

}  // namespace
}  // namespace watchword::storage::test
