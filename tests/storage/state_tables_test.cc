// Folds whose rows become table files: every test here makes each fold one, however small, unless it says otherwise.
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <iterator>
#include <thread>

#include "storage/backup.h"
#include "storage/rocksdb/table_files.h"
#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

class StateTables : public StoreTest {
 protected:
  StateTables() {
    options.table_rows_min = 1;
    options.fold_interval_ms = 100;
  }

  std::vector<UserRecord> put_people(int count) {
    std::vector<UserRecord> people;
    for (int i = 0; i < count; ++i) {
      people.push_back(person("user-" + std::to_string(i)));
      EXPECT_EQ(put(people.back()), Outcome::durable);
    }
    return people;
  }
  void put_steps(const std::vector<UserRecord>& people, std::int64_t step) {
    std::vector<CellWrite> cells;
    for (const UserRecord& user : people) cells.push_back({{user.number, 1}, {ReplayWord::make(step, 0).bits, 7}});
    std::vector<Outcome> outcomes(cells.size(), Outcome::failed);
    store->advance(cells, {}, outcomes, {});
    for (const Outcome outcome : outcomes) ASSERT_EQ(outcome, Outcome::durable);
  }
  // Of all labels, or of one.
  double figure(const std::string& name, const std::string& label_value = "") {
    double sum = 0;
    for (const StoreFigure& one : store->figures()) {
      if (one.name == name && (label_value.empty() || one.label_value == label_value)) sum += one.value;
    }
    return sum;
  }
  // All that was written is in the state rows.
  void await_fold() {
    for (int i = 0; i < 1000 && figure("watchword_journal_lag_cells") > 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_EQ(figure("watchword_journal_lag_cells"), 0);
  }
  std::size_t files_under_way() {
    const std::filesystem::directory_iterator files(options.data_dir / "folding");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }
};

TEST_F(StateTables, HoldWhatWasFoldedAndLeaveNoFileBehind) {
  open();
  const std::vector<UserRecord> people = put_people(200);
  const double rows_before = figure("watchword_rocksdb_keys_written_total");
  put_steps(people, 50);
  await_fold();
  EXPECT_LT(figure("watchword_rocksdb_keys_written_total") - rows_before, 100) << "they went through the log";
  EXPECT_GE(figure("watchword_rocksdb_files"), 16) << "a table in each shard";
  EXPECT_EQ(files_under_way(), 0u);
  for (const UserRecord& user : people) {
    const auto loaded = store->load(user.user);
    ASSERT_EQ(ReplayWord{loaded->replay.at(0).word}.last_step(), 50);
    ASSERT_EQ(loaded->replay.at(0).receipt, 7u);
  }
  reopen();
  for (const UserRecord& user : people) ASSERT_EQ(step_of(user.user), 50);
}

TEST_F(StateTables, OfManyTheLatestValueCountsAlsoAfterTheyAreMerged) {
  open();
  const std::vector<UserRecord> people = put_people(100);
  // More than level 0 takes before they are compacted.
  for (int step = 1; step <= 20; ++step) {
    put_steps(people, step);
    await_fold();
    ASSERT_EQ(step_of("user-99"), step);
  }
  reopen();
  for (const UserRecord& user : people) ASSERT_EQ(step_of(user.user), 20);
}

// A slow thread's older value may be committed after a fold has written the newer one.
TEST_F(StateTables, AnOlderValueAboveDoesNotUndoTheNewerOne) {
  open();
  const std::vector<UserRecord> people = put_people(50);
  put_steps(people, 101);
  await_fold();
  put_steps(people, 100);
  await_fold();
  EXPECT_EQ(step_of("user-0"), 101);
  reopen();
  for (const UserRecord& user : people) ASSERT_EQ(step_of(user.user), 101);
}

TEST_F(StateTables, AndRowsOfSmallFoldsTakeTurns) {
  std::vector<UserRecord> people;
  for (int step = 1; step <= 12; ++step) {
    options.table_rows_min = step % 3 == 0 ? 1 : 1000;
    open();
    if (people.empty()) people = put_people(50);
    put_steps(people, step);
    if (step % 2 == 0) await_fold();
    ASSERT_EQ(step_of("user-0"), step);
    store.reset();  // folds the rest
  }
  // In one life too: a table on top of rows that are in memory alone.
  options.table_rows_min = 4;
  open();
  for (int step = 13; step <= 40; ++step) {
    put_steps(step % 2 == 0 ? people : std::vector<UserRecord>{people.front(), people.back()}, step);
    await_fold();
    ASSERT_EQ(step_of("user-0"), step);
    ASSERT_EQ(step_of("user-49"), step);
  }
  reopen();
  EXPECT_EQ(step_of("user-0"), 40);
  EXPECT_EQ(step_of("user-49"), 40);
  EXPECT_EQ(step_of("user-25"), 40);
}

TEST_F(StateTables, ForgetWhoAndWhatIsErased) {
  open();
  std::vector<UserRecord> people = put_people(50);
  put_steps(people, 9);
  await_fold();
  Change change;
  change.erase_users.emplace_back("user-3", people[3].number);
  change.erase_cells.push_back({people[4].number, 1});
  ASSERT_EQ(write(change), Outcome::durable);
  people.erase(people.begin() + 3, people.begin() + 5);
  put_steps(people, 10);
  await_fold();
  EXPECT_FALSE(store->load("user-3").has_value());
  EXPECT_EQ(store->load("user-4")->replay.at(0).word, 0u);
  reopen();
  EXPECT_EQ(store->load("user-4")->replay.at(0).word, 0u);
  EXPECT_EQ(step_of("user-5"), 10);
}

TEST_F(StateTables, WhatACrashLeftUnderWayIsRemoved) {
  open();
  store.reset();
  std::ofstream(options.data_dir / "folding" / "state.00.sst") << "half a table";
  open();
  EXPECT_EQ(files_under_way(), 0u);
  const std::vector<UserRecord> people = put_people(50);
  put_steps(people, 3);
  await_fold();
  reopen();
  EXPECT_EQ(step_of("user-49"), 3);
}

// New people have numbers above all others: without something in common their tables would go to the levels below, beside
// others, while RocksDB may be merging into those.
TEST_F(StateTables, OfPeopleWhomNoOtherTableHasLieInLevelZeroToo) {
  open();
  put_people(1);
  await_fold();
  std::vector<UserRecord> people;
  for (int fold = 0; fold < 4; ++fold) {
    people.clear();
    for (int i = 0; i < 64; ++i) {
      people.push_back(person("new-" + std::to_string(fold) + "-" + std::to_string(i)));
      put(people.back());
    }
    put_steps(people, fold + 1);
    await_fold();
  }
  // Two tables of each shard found an empty level below.
  EXPECT_GE(figure("watchword_rocksdb_files", "0"), 2 * 16);
  EXPECT_EQ(figure("watchword_rocksdb_files", "1"), 16);
  EXPECT_EQ(figure("watchword_rocksdb_files", "2"), 16);
  reopen();
  EXPECT_EQ(step_of("new-0-0"), 1);
  EXPECT_EQ(step_of("new-3-63"), 4);
}

// Between two file systems there are no links.
TEST_F(StateTables, AreCopiedWhereTheyCannotBeLinked) {
  std::string elsewhere = "/dev/shm/watchword-folding-XXXXXX";
  if (mkdtemp(elsewhere.data()) == nullptr) GTEST_SKIP() << "there is no /dev/shm";
  struct stat here {
  }, there{};
  ASSERT_EQ(stat(options.data_dir.c_str(), &here), 0);
  ASSERT_EQ(stat(elsewhere.c_str(), &there), 0);
  std::filesystem::create_directory_symlink(elsewhere, options.data_dir / "folding");
  open();
  const std::vector<UserRecord> people = put_people(50);
  for (int step = 1; step <= 3; ++step) {
    put_steps(people, step);
    await_fold();
    ASSERT_EQ(step_of("user-0"), step);
  }
  EXPECT_TRUE(store->writable());
  reopen();
  for (const UserRecord& user : people) EXPECT_EQ(step_of(user.user), 3);
  store.reset();
  std::filesystem::remove_all(elsewhere);
  if (here.st_dev == there.st_dev) GTEST_SKIP() << "/dev/shm is on the file system of temporary files";
}

TEST_F(StateTables, AnotherNameOfATableInUseIsNotWrittenTo) {
  open();
  const std::vector<UserRecord> people = put_people(50);
  put_steps(people, 1);
  await_fold();
  std::size_t linked = 0;
  for (const auto& file : std::filesystem::directory_iterator(options.data_dir / "db")) {
    if (file.path().extension() != ".sst") continue;
    char name[16];
    std::snprintf(name, sizeof name, "state.%02x.sst", static_cast<unsigned>(linked++ % 16));
    std::error_code there_already;
    std::filesystem::create_hard_link(file.path(), options.data_dir / "folding" / name, there_already);
  }
  ASSERT_GE(linked, 16u);
  put_steps({people.begin(), people.begin() + 40}, 2);
  await_fold();
  reopen();
  EXPECT_EQ(step_of("user-0"), 2);
  EXPECT_EQ(step_of("user-49"), 1);
}

TEST_F(StateTables, RowsGoThroughTheLogWhereATableCannotBeWritten) {
  std::atomic<int> warnings{0};
  options.warn = [&warnings](const std::string& text) {
    warnings += text.find("a table of state rows cannot be written") != std::string::npos;
  };
  open();
  const std::vector<UserRecord> people = put_people(50);
  // A folder where the file is to be, with something in it: also root cannot write that.
  for (unsigned shard = 0; shard < 16; ++shard) {
    char name[32];
    std::snprintf(name, sizeof name, "state.%02x.sst/kept", shard);
    std::filesystem::create_directories(options.data_dir / "folding" / name);
  }
  put_steps(people, 5);
  await_fold();
  EXPECT_GT(warnings, 0);
  EXPECT_TRUE(store->writable());
  EXPECT_EQ(step_of("user-0"), 5);
  reopen();
  EXPECT_EQ(files_under_way(), 0u);
  for (const UserRecord& user : people) ASSERT_EQ(step_of(user.user), 5);
}

// While it is written nothing waits for a backup, and a backup is whole.
TEST_F(StateTables, ABackupBesideFoldsHasAllThatWasDurableBefore) {
  options.backup_dir = parent / "backups";
  open();
  const std::vector<UserRecord> people = put_people(200);
  std::atomic<std::int64_t> durable{0};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::int64_t step = 1; !stop; ++step) {
      put_steps(people, step);
      durable = step;
    }
  });
  std::vector<std::pair<std::uint32_t, std::int64_t>> made;  // and what it has at least
  for (int i = 0; i < 4; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(230));
    const std::int64_t known = durable;
    const auto report = store->back_up();
    EXPECT_TRUE(report.has_value());
    if (report) made.emplace_back(report->id, known);
  }
  stop = true;
  writer.join();
  store.reset();
  for (const auto& [id, known] : made) {
    RocksStoreOptions restored = options;
    restored.data_dir = parent / ("restored-" + std::to_string(id));
    restored.master_key_file = parent / "data" / "master.key";
    restore_backup(options.backup_dir, id, restored);
    store = open_rocks_store(restored);
    for (const UserRecord& user : people) ASSERT_GE(step_of(user.user), known) << "backup " << id;
    store.reset();
  }
}

TEST(TableFiles, AFileThatIsBeingLinkedKeepsItsNewName) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("watchword-links-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::string from = folder / "from.sst", to = folder / "to.sst";
  std::ofstream(from) << "a table";
  TableFiles files;
  ASSERT_TRUE(files.LinkFile(from, to, {}, nullptr).ok());
  EXPECT_TRUE(files.DeleteFile(to, {}, nullptr).ok());
  EXPECT_EQ(read_all(to), "a table");
  EXPECT_TRUE(files.DeleteFile(from, {}, nullptr).ok());
  EXPECT_FALSE(std::filesystem::exists(from));
  EXPECT_TRUE(files.DeleteFile(to, {}, nullptr).ok());
  EXPECT_FALSE(std::filesystem::exists(to));
  // RocksDB copies where it hears that there are no links.
  EXPECT_TRUE(files.LinkFile(from, to, {}, nullptr).IsNotSupported());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace watchword::storage::test
