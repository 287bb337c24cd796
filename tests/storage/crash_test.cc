// A process that writes and is killed: what it was told is durable is there afterwards.
#include <sys/wait.h>

#include <csignal>

#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

using Crash = StoreTest;

// In the child: says over the pipe, after each group, up to which step everything is durable.
[[noreturn]] void write_until_killed(const RocksStoreOptions& options, const std::vector<UserRecord>& people,
                                     std::int64_t from, int out) {
  const std::unique_ptr<Store> store = open_rocks_store(options);
  for (std::int64_t step = from;; ++step) {
    std::vector<CellWrite> cells;
    for (const UserRecord& user : people) cells.push_back({{user.number, 1}, {ReplayWord::make(step, 0).bits, 0}});
    std::vector<Outcome> outcomes(cells.size(), Outcome::failed);
    store->advance(cells, {}, outcomes, {});
    if (outcomes[0] != Outcome::durable || ::write(out, &step, sizeof step) != sizeof step) _exit(1);
  }
}

TEST_F(Crash, WhatWasSaidToBeDurableIsThereAfterKill9) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer follows no fork of a process with threads, and RocksDB keeps some";
#endif
  options.unfolded_cells_max = 1000;
  options.fold_interval_ms = 100;
  std::vector<UserRecord> people;
  open();
  for (int i = 0; i < 50; ++i) {
    people.push_back(person("user-" + std::to_string(i)));
    put(people.back());
  }
  store.reset();
  std::int64_t known = 0;
  for (int round = 0; round < 20; ++round) {
    options.table_rows_min = round % 2 == 0 ? 1 : 1000;  // folds as tables, and as rows
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      try {
        write_until_killed(options, people, known + 1, ends[1]);
      } catch (...) {
        _exit(2);
      }
    }
    close(ends[1]);
    // Some folds into its life, at no particular moment.
    const std::int64_t enough = known + 30 + 17 * (round % 10);
    for (std::int64_t step = 0; step < enough && read(ends[0], &step, sizeof step) == sizeof step;) known = step;
    kill(child, SIGKILL);
    for (std::int64_t step = 0; read(ends[0], &step, sizeof step) == sizeof step;) known = step;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself with " << WEXITSTATUS(status);
    open();
    for (const UserRecord& user : people) {
      ASSERT_GE(step_of(user.user), known) << "round " << round;
      ASSERT_LE(step_of(user.user), known + 1);
    }
    store.reset();
  }
}

}  // namespace
}  // namespace watchword::storage::test
