// The audit trail: what is written is found again, and no damage from outside goes unseen.
#include "storage/audit.h"

#include <rocksdb/db.h>

#include <limits>
#include <utility>

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

// Changes with many entries, whose rows are bundles, between changes with one.
class BundledTrail : public StoreTest {
 protected:
  BundledTrail() {
    open();
    std::int64_t at_ms = base_ms;
    for (int group = 0; group < 30; ++group) {
      Change change;
      const int size = group % 3 == 0 ? 1 : group % 3 == 1 ? 40 : 700;
      for (int i = 0; i < size; ++i) {
        at_ms += i % 5 == 0 ? 1 : 0;
        if (i == 300) at_ms += 5000;
        const int number = static_cast<int>(all.size());
        change.audit.push_back({.at = {at_ms},
                                .origin = {.actor = "key:1", .address = number % 7 == 0 ? "192.0.2.7" : "::1", .trace = ""},
                                .action = number % 50 == 0 ? "user.lock" : "verification",
                                .user = number % 11 == 0 ? "" : "user" + std::to_string(number % 101),
                                .device = "",
                                .detail = R"({"result":"rejected"})"});
        all.push_back({.sequence = all.size() + 1, .entry = change.audit.back()});
      }
      EXPECT_EQ(write(change), Outcome::durable);
      at_ms += 700;
    }
  }
  static constexpr std::int64_t base_ms = 1'795'528'800'000;

  // What a query has to find, by looking at each entry.
  std::vector<std::uint64_t> expected(const AuditQuery& query) const {
    std::vector<std::uint64_t> found;
    for (auto row = all.rbegin(); row != all.rend(); ++row) {
      const AuditEntry& entry = row->entry;
      if (entry.at >= query.from && entry.at < query.to && (query.user.empty() || entry.user == query.user) &&
          (query.action.empty() || entry.action == query.action)) {
        found.push_back(row->sequence);
      }
    }
    return found;
  }
  std::vector<std::uint64_t> paged(AuditQuery query) {
    std::vector<std::uint64_t> found;
    for (;;) {
      const AuditPage page = store->audit(query);
      EXPECT_LE(page.rows.size(), query.limit);
      for (const AuditRow& row : page.rows) {
        found.push_back(row.sequence);
        EXPECT_EQ(row.entry, all[row.sequence - 1].entry);
      }
      if (!page.next) return found;
      query.before = *page.next;
    }
  }

  std::vector<AuditRow> all;
};

TEST_F(BundledTrail, IsFoundByTimeUserAndActionWhateverThePage) {
  const std::int64_t last_ms = all.back().entry.at.value;
  for (const std::size_t limit : {1u, 7u, 100u, 100000u}) {
    for (const std::string user : {"", "user5", "user17", "nobody"}) {
      for (const std::string action : {"", "verification", "user.lock", "user.unlock"}) {
        for (const auto& [from, to] : {std::pair{std::int64_t{0}, std::numeric_limits<std::int64_t>::max()},
                                       std::pair{base_ms + 3000, base_ms + 9001}, std::pair{last_ms, last_ms + 1}}) {
          const AuditQuery query{.from = {from}, .to = {to}, .user = user, .action = action, .limit = limit};
          if (limit == 1 && user.empty() && action != "user.lock") continue;  // thousands of pages
          ASSERT_EQ(paged(query), expected(query)) << limit << " " << user << " " << action << " " << from;
        }
      }
    }
  }
}

TEST_F(BundledTrail, APageThatGivesUpSaysWhereToGoOnAndLosesNothing) {
  store.reset();
  OpenedDatabase opened = open_existing(options);
  Database& database = opened.database;
  const AuditChain chain(*database.db, database.documents, database.audit, database.audit_index, opened.keys.audit_key());
  for (const std::size_t effort : {1u, 2u, 3u, 25u, 400u}) {
    for (const std::string user : {"user5", "user17", "nobody"}) {
      for (const std::string action : {"", "user.lock"}) {
        AuditQuery query{.user = user, .action = action, .limit = 1000};
        std::vector<std::uint64_t> found;
        for (;;) {
          const AuditPage page = chain.query(query, effort);
          for (const AuditRow& row : page.rows) found.push_back(row.sequence);
          if (!page.next) break;
          query.before = *page.next;
        }
        EXPECT_EQ(found, expected(query = {.user = user, .action = action})) << effort << " " << user << " " << action;
      }
    }
  }
}

TEST_F(BundledTrail, IsReadOnwardsFromAnyNumberOverRestarts) {
  reopen();
  EXPECT_EQ(store->audit_last(), all.size());
  for (const std::size_t after : {std::size_t{0}, std::size_t{1}, std::size_t{20}, std::size_t{741}, all.size() - 1}) {
    const std::vector<AuditRow> rows = store->audit_after(after, 60);
    ASSERT_EQ(rows.size(), std::min<std::size_t>(60, all.size() - after));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].sequence, after + i + 1);
      EXPECT_EQ(rows[i].entry, all[after + i].entry);
    }
  }
}

TEST_F(BundledTrail, IsExportedWhole) {
  store.reset();
  std::uint64_t sequence = 0;
  for_each_audit_row(options, [&](const AuditRow& row) {
    EXPECT_EQ(row.sequence, ++sequence);
    EXPECT_EQ(row.entry, all[sequence - 1].entry);
  });
  EXPECT_EQ(sequence, all.size());
}

TEST_F(BundledTrail, HoldsAndBreaksAtAFlippedBitADeletedOrAnExchangedRow) {
  store.reset();
  const std::string saved = audit_head(options);
  const AuditVerdict whole = verify_audit(options, saved);
  EXPECT_TRUE(whole.intact) << whole.reason;
  EXPECT_EQ(whole.last, all.size());
  const auto broken_by = [&](auto action) {
    std::vector<std::pair<std::string, std::string>> rows;
    {
      const OpenedDatabase opened = open_existing(options);
      const std::unique_ptr<rocksdb::Iterator> at(opened.database.db->NewIterator({}, opened.database.audit));
      for (at->SeekToFirst(); at->Valid(); at->Next()) rows.emplace_back(at->key().ToString(), at->value().ToString());
      action(*opened.database.db, opened.database.audit, rows);
    }
    const AuditVerdict verdict = verify_audit(options, saved);
    const OpenedDatabase opened = open_existing(options);
    for (const auto& [key, value] : rows) EXPECT_TRUE(opened.database.db->Put({}, opened.database.audit, key, value).ok());
    return verdict.intact ? 0 : verdict.broken_at;
  };
  using Rows = std::vector<std::pair<std::string, std::string>>;
  std::uint64_t last_row = 0;
  for (const std::size_t byte : {0u, 1u, 2u, 9u, 12u, 13u, 60u, 500u}) {
    EXPECT_EQ(broken_by([byte](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const Rows& rows) {
                std::string value = rows[1].second;  // 40 entries
                value[byte] = static_cast<char>(value[byte] ^ 1);
                EXPECT_TRUE(db.Put({}, family, rows[1].first, value).ok());
              }),
              2u)
        << byte;
  }
  EXPECT_EQ(broken_by([](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const Rows& rows) {
              EXPECT_TRUE(db.Delete({}, family, rows[1].first).ok());
            }),
            2u);
  const std::uint64_t cut = broken_by([&](rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const Rows& rows) {
    last_row = decode_big_endian(rows.back().first);
    EXPECT_TRUE(db.Delete({}, family, rows.back().first).ok());
  });
  EXPECT_EQ(cut, last_row);
  EXPECT_TRUE(verify_audit(options, saved).intact);
}

TEST_F(BundledTrail, EndsOldBundlesWithAllThatTheIndexKnewOfThem) {
  store.reset();
  const std::string saved = audit_head(options);
  const std::int64_t middle_ms = all[all.size() / 2].entry.at.value;
  std::uint64_t first = 0;
  {
    OpenedDatabase opened = open_existing(options);
    Database& database = opened.database;
    AuditChain chain(*database.db, database.documents, database.audit, database.audit_index, opened.keys.audit_key());
    while (chain.retire({middle_ms}, 100) > 0) {
    }
    const std::vector<AuditRow> kept = chain.after(0, 1);
    ASSERT_EQ(kept.size(), 1u);
    first = kept.front().sequence;
    EXPECT_GT(first, all.size() / 2 - bundle_entries_max);
    const std::unique_ptr<rocksdb::Iterator> at(database.db->NewIterator({}, database.audit_index));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      EXPECT_GE(decode_big_endian(at->key().ToString().substr(at->key().size() - 8)), first);
    }
  }
  const AuditVerdict verdict = verify_audit(options, saved);
  EXPECT_TRUE(verdict.intact) << verdict.reason;
  EXPECT_EQ(verdict.first, first);
}

}  // namespace
}  // namespace watchword::storage::test
