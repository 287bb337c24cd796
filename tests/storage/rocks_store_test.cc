#include <algorithm>
#include <thread>

#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

TEST_F(StoreTest, KeepsEveryFieldOfARow) {
  open();
  UserRecord user = person("zoë 😀", 3);
  user.version = 7;
  user.devices[1].parameters = {Algorithm::sha512, 8, 300};
  user.devices[1].enabled = false;
  user.devices[2].status = DeviceStatus::pending;
  user.devices[2].expires_at_s = 5;
  user.devices[2].failed_confirmations = 9;
  ASSERT_EQ(put(user), Outcome::durable);
  for (int round = 0; round < 2; ++round) {
    const auto loaded = store->load("zoë 😀");
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->record.number, user.number);
    EXPECT_EQ(loaded->record.created_at_s, user.created_at_s);
    EXPECT_EQ(loaded->record.next_slot, user.next_slot);
    EXPECT_EQ(loaded->record.version, 7u);
    ASSERT_EQ(loaded->record.devices.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      const DeviceRecord &a = loaded->record.devices[i], &b = user.devices[i];
      EXPECT_EQ(a.id, b.id);
      EXPECT_EQ(a.slot, b.slot);
      EXPECT_EQ(a.name, b.name);
      EXPECT_EQ(a.parameters, b.parameters);
      EXPECT_EQ(a.status, b.status);
      EXPECT_EQ(a.enabled, b.enabled);
      EXPECT_EQ(a.failed_confirmations, b.failed_confirmations);
      EXPECT_EQ(a.created_at_s, b.created_at_s);
      EXPECT_EQ(a.confirmed_at_s, b.confirmed_at_s);
      EXPECT_EQ(a.expires_at_s, b.expires_at_s);
      EXPECT_EQ(a.secret.bytes(), b.secret.bytes());
    }
    EXPECT_EQ(loaded->throttle, CellValue{});
    EXPECT_EQ(loaded->replay, std::vector<CellValue>(3));
    reopen();
  }
  EXPECT_FALSE(store->load("nobody"));
}

TEST_F(StoreTest, CellsSurviveClosingAndOpening) {
  open();
  const UserRecord user = person("ada", 2);
  put(user);
  ASSERT_EQ(put_step(user, 1, 100, 77), Outcome::durable);
  ASSERT_EQ(put_step(user, 2, 50), Outcome::durable);
  EXPECT_EQ(step_of("ada", 0), 100);
  reopen();
  EXPECT_EQ(step_of("ada", 0), 100);
  EXPECT_EQ(store->load("ada")->replay[0].receipt, 77u);
  EXPECT_EQ(step_of("ada", 1), 50);
}

TEST_F(StoreTest, OfTwoValuesTheLaterStaysWhateverTheOrderOfWriting) {
  open();
  const UserRecord user = person("ada");
  put(user);
  put_step(user, 1, 100);
  put_step(user, 1, 99);
  EXPECT_EQ(step_of("ada"), 100);
  reopen();
  put_step(user, 1, 98);
  EXPECT_EQ(step_of("ada"), 100);
}

TEST_F(StoreTest, FoldingChangesNothingThatCanBeSeen) {
  options.unfolded_cells_max = 500;
  options.fold_interval_ms = 100;
  open();
  std::vector<UserRecord> people;
  for (int i = 0; i < 200; ++i) {
    people.push_back(person("user-" + std::to_string(i)));
    put(people.back());
  }
  for (int round = 1; round <= 50; ++round) {
    std::vector<CellWrite> cells;
    for (const UserRecord& user : people) cells.push_back({{user.number, 1}, {ReplayWord::make(round, 0).bits, 0}});
    std::vector<Outcome> outcomes(cells.size(), Outcome::failed);
    store->advance(cells, {}, outcomes, {});
    for (const Outcome outcome : outcomes) ASSERT_EQ(outcome, Outcome::durable);
    ASSERT_EQ(step_of("user-7"), round);
    ASSERT_EQ(step_of("user-199"), round);
  }
  reopen();
  for (const UserRecord& user : people) ASSERT_EQ(step_of(user.user), 50);
}

// A slow thread's older value may be queued, and committed, after a fold has written the newer one.
TEST_F(StoreTest, AnOlderValueThatComesAfterAFoldDoesNotUndoTheNewerOne) {
  open();
  const UserRecord user = person("ada");
  put(user);
  const auto put_throttle = [&](unsigned failures, std::uint32_t version) {
    const CellWrite cell{{user.number, throttle_slot}, {ThrottleWord::make(failures, 0, version).bits, 0}};
    Outcome outcome = Outcome::failed;
    store->advance({&cell, 1}, {}, {&outcome, 1}, {});
  };
  const auto expect_newer = [&] {
    EXPECT_EQ(step_of("ada"), 101);
    EXPECT_EQ(ThrottleWord{store->load("ada")->throttle.word}.failures(), 10u);
  };
  put_step(user, 1, 101);
  put_throttle(10, 2);
  reopen();  // closing folds
  put_step(user, 1, 100);
  put_throttle(3, 1);
  expect_newer();
  reopen();
  expect_newer();
  reopen();
  expect_newer();
}

// A zero is no value, however far the versions have gone.
TEST_F(StoreTest, AThrottleWordWithAHighVersionIsNotTakenForNone) {
  open();
  const UserRecord user = person("ada");
  put(user);
  const CellWrite cell{{user.number, throttle_slot}, {ThrottleWord::make(100, 0, 0xc0000).bits, 0}};
  Outcome outcome = Outcome::failed;
  store->advance({&cell, 1}, {}, {&outcome, 1}, {});
  EXPECT_EQ(ThrottleWord{store->load("ada")->throttle.word}.failures(), 100u);
  reopen();
  EXPECT_EQ(ThrottleWord{store->load("ada")->throttle.word}.failures(), 100u);
}

TEST_F(StoreTest, AnErasedUserComesBackWithNothing) {
  options.fold_interval_ms = 100;
  open();
  const UserRecord before = person("ada");
  put(before);
  put_step(before, 1, 100);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // folded
  Change erase;
  erase.erase_users.emplace_back("ada", before.number);
  ASSERT_EQ(write(erase), Outcome::durable);
  EXPECT_FALSE(store->load("ada"));
  const UserRecord after = person("ada");
  EXPECT_NE(after.number, before.number);
  put(after);
  EXPECT_EQ(step_of("ada"), -1);
  reopen();
  EXPECT_EQ(step_of("ada"), -1);
}

TEST_F(StoreTest, AnErasedCellStaysErased) {
  open();
  UserRecord user = person("ada", 2);
  put(user);
  put_step(user, 1, 100);
  put_step(user, 2, 100);
  Change change;
  change.erase_cells.push_back({user.number, 1});
  ASSERT_EQ(write(change), Outcome::durable);
  EXPECT_EQ(step_of("ada", 0), -1);
  EXPECT_EQ(step_of("ada", 1), 100);
  reopen();
  EXPECT_EQ(step_of("ada", 0), -1);
  EXPECT_EQ(step_of("ada", 1), 100);
}

TEST_F(StoreTest, NumbersAreNeverGivenTwice) {
  open();
  std::set<std::uint64_t> seen;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 100; ++i) {
      const std::string name = "user-" + std::to_string(round) + "-" + std::to_string(i);
      const UserRecord user = person(name);
      EXPECT_TRUE(seen.insert(user.number.value).second);
      put(user);
    }
    reopen();
  }
}

TEST_F(StoreTest, BulkRowsAreThereAfterwardsAndTheirNumbersStayTheirs) {
  open();
  std::set<std::uint64_t> seen;
  std::vector<UserRecord> people;
  for (int i = 0; i < 1000; ++i) {
    people.push_back(person("user-" + std::to_string(i)));
    seen.insert(people.back().number.value);
  }
  store->put_bulk(people);
  EXPECT_TRUE(store->load("user-999")) << "to be seen at once";
  store->finish_bulk();
  reopen();
  EXPECT_EQ(store->load("user-500")->record.devices[0].secret.bytes(), people[500].devices[0].secret.bytes());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(seen.insert(person("new-" + std::to_string(i)).number.value).second);
}

TEST_F(StoreTest, ListsInByteOrderByPrefixAndPage) {
  open();
  for (const char* name : {"b", "a", "ab", "abc", "ac", "Z", "zoë", "é"}) put(person(name));
  const auto names = [](const UserPage& page) {
    std::vector<std::string> found;
    for (const UserSummary& user : page.users) found.push_back(user.user);
    return found;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(store->list("", "", 100)), (Names{"Z", "a", "ab", "abc", "ac", "b", "zoë", "é"}));
  EXPECT_EQ(names(store->list("ab", "", 100)), (Names{"ab", "abc"}));
  EXPECT_EQ(names(store->list("a", "ab", 100)), (Names{"abc", "ac"}));
  const UserPage page = store->list("", "a", 2);
  EXPECT_EQ(names(page), (Names{"ab", "abc"}));
  EXPECT_TRUE(page.more);
  EXPECT_FALSE(store->list("", "ac", 3).more);
  EXPECT_EQ(store->list("abc", "", 1).users.at(0).active_devices, 1u);
  EXPECT_TRUE(store->list("x", "", 10).users.empty());
  Names visited;
  store->for_each_user([&](const UserRecord& user) {
    visited.push_back(user.user);
    return visited.size() < 3;
  });
  EXPECT_EQ(visited, (Names{"Z", "a", "ab"}));
}

TEST_F(StoreTest, KeepsDocuments) {
  open();
  Change change;
  change.put_documents = {{"key/1", "one"}, {"key/2", "two"}, {"policy", "{}"}};
  write(change);
  reopen();
  EXPECT_EQ(store->document("key/2"), "two");
  EXPECT_FALSE(store->document("key"));
  EXPECT_EQ(store->documents("key/").size(), 2u);
  Change erase;
  erase.erase_documents = {"key/1"};
  write(erase);
  EXPECT_FALSE(store->document("key/1"));
  EXPECT_EQ(store->documents("key/").size(), 1u);
}

TEST_F(StoreTest, TheHashKeyIsTheSameForLife) {
  open();
  const auto key = store->hash_key().bytes();
  EXPECT_EQ(key.size(), 32u);
  reopen();
  EXPECT_EQ(store->hash_key().bytes(), key);
}

TEST_F(StoreTest, BelowTheBoundOfFreeSpaceNothingIsWritten) {
  options.free_bytes_min = ~std::uint64_t{0};
  open();
  EXPECT_FALSE(store->writable());
  EXPECT_FALSE(store->health().needs_restart);
  EXPECT_EQ(put(person("ada")), Outcome::failed);
  EXPECT_FALSE(store->load("ada"));
}

TEST_F(StoreTest, IsBehindWhereTwiceTooMuchWaitsAndUntilAFoldHasBegun) {
  options.unfolded_cells_max = 1000;
  open();
  const UserRecord user = person("ada");
  put(user);
  EXPECT_FALSE(store->behind());
  EXPECT_EQ(store->memory_filled(), 0);
  const auto write = [&](std::uint32_t first, std::uint32_t count) {
    std::vector<CellWrite> cells;
    for (std::uint32_t slot = first; slot < first + count; ++slot) {
      cells.push_back({{user.number, slot}, {ReplayWord::make(1, 0).bits, 0}});
    }
    std::vector<Outcome> outcomes(cells.size(), Outcome::failed);
    store->advance(cells, {}, outcomes, {});
  };
  // More than two folds' worth, fewer than six, whether a fold has begun or not.
  write(1, 3000);
  EXPECT_LT(store->memory_filled(), 1);
  bool seen_behind = false;
  double filled = 0;
  // The fold thread may be quicker than a look, but not every time.
  for (std::uint32_t tries = 0; tries < 50 && !(seen_behind && filled >= 1); ++tries) {
    write(10'000 + tries * 8000, 8000);
    filled = std::max(filled, store->memory_filled());
    seen_behind |= store->behind();
  }
  EXPECT_TRUE(seen_behind);
  EXPECT_GE(filled, 1);
  EXPECT_LT(filled, 1.2) << "some hundred thousand cells are little memory, whatever a fold's worth is";
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while ((store->behind() || store->memory_filled() >= 1) && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  EXPECT_FALSE(store->behind());
  EXPECT_LT(store->memory_filled(), 1);
}

TEST_F(StoreTest, ReadersWritersAndFoldsSideBySide) {
  options.unfolded_cells_max = 100;
  options.fold_interval_ms = 100;
  open();
  std::vector<UserRecord> people;
  for (int i = 0; i < 20; ++i) {
    people.push_back(person("user-" + std::to_string(i)));
    put(people.back());
  }
  std::atomic<std::int64_t> durable{-1};
  std::atomic<bool> over{false};
  std::vector<std::thread> readers;
  for (int k = 0; k < 2; ++k) {
    readers.emplace_back([&, k] {
      while (!over) {
        const std::int64_t known = durable;
        EXPECT_GE(step_of("user-" + std::to_string(7 * k)), known);
      }
    });
  }
  for (std::int64_t step = 1; step <= 1000; ++step) {
    std::vector<CellWrite> cells;
    for (const UserRecord& user : people) cells.push_back({{user.number, 1}, {ReplayWord::make(step, 0).bits, 0}});
    std::vector<Outcome> outcomes(cells.size(), Outcome::failed);
    store->advance(cells, {}, outcomes, {});
    ASSERT_EQ(outcomes[0], Outcome::durable);
    durable = step;
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace watchword::storage::test
