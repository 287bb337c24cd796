// The store's background: folding the journal into the state rows, and an eye on the disk.
#include <pthread.h>
#include <rocksdb/write_batch.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <functional>
#include <future>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/thread_rank.h"
#include "storage/fence_file.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {
namespace {

// A group commit waits behind one of these: less than a tenth of a millisecond of work.
constexpr std::size_t rows_per_batch = 32;
constexpr std::chrono::milliseconds pause_max{2};
constexpr std::chrono::milliseconds look_interval{200};
constexpr std::int64_t disk_look_ms = 50;

// On a thread that gives way: it holds no lock that others want.
template <typename Work>
auto giving_way(Work&& work) {
  const auto ranked = [&work] {
    pthread_setname_np(pthread_self(), "fold-rows");
    engine::rank_as_background();
    return work();
  };
  std::future<decltype(work())> done;
  try {
    done = std::async(std::launch::async, ranked);
  } catch (const std::system_error&) {
    return work();  // no thread can be had now
  }
  return done.get();
}

std::array<std::vector<StateTables::Row>, shard_count> rows_by_shard(const Overlay& cells,
                                                                     const std::function<void()>& pause) {
  constexpr unsigned steps_between_pauses = 64;
  unsigned steps = 0;
  const auto step = [&] {
    if (++steps % steps_between_pauses == 0) pause();
  };
  std::array<std::vector<StateTables::Row>, shard_count> by_shard;
  for (std::vector<StateTables::Row>& shard : by_shard) shard.reserve(cells.cells.size() / shard_count * 5 / 4);
  cells.cells.for_each(
      [&](const engine::CellKey& key, const Overlay::Entry& entry) {
        step();
        if (!cells.erased_users.contains(key.user.value)) by_shard[shard_of(key.user)].emplace_back(key, entry);
      },
      pause);
  for (std::vector<StateTables::Row>& rows : by_shard) {
    std::sort(rows.begin(), rows.end(), [&step](const auto& a, const auto& b) {
      step();
      return a.first < b.first;
    });
  }
  return by_shard;
}

}  // namespace

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void RocksStore::run_folds() {
  pthread_setname_np(pthread_self(), "fold");
  engine::rank_as_pausing();
  auto last = std::chrono::steady_clock::now();
  for (;;) {
    {
      std::unique_lock lock(fold_mutex_);
      fold_wake_.wait_for(lock, look_interval, [this] { return stopping_ || (fold_due_ && writable()); });
      if (stopping_) return;
    }
    look_at_disk();
    look_at_tables();
    const auto now = std::chrono::steady_clock::now();
    if (failed_ || disk_low_) continue;
    if (!fold_due_ && now - last < std::chrono::milliseconds(options_.fold_interval_ms)) continue;
    fold_due_ = false;  // before it: what fills up meanwhile is due again
    fold();
    retire_audit();
    last = std::chrono::steady_clock::now();
  }
}

// In pieces, so that no batch holds the writer up for long, and for a bounded time a fold, so that a shorter retention does
// not stop the folds for an hour. Only what the clock says is too old goes, so a crash in between leaves more, never less.
void RocksStore::retire_audit() {
  constexpr std::size_t piece = 250;
  constexpr std::chrono::milliseconds time_max{500};
  constexpr std::int64_t day_ms = 86'400'000;
  if (options_.audit_retention_days == 0 || failed_) return;
  try {
    const std::int64_t kept_ms = static_cast<std::int64_t>(options_.audit_retention_days) * day_ms;
    const engine::UnixMillis before{engine::wall_now().value - kept_ms};
    const auto end = std::chrono::steady_clock::now() + time_max;
    while (audit_.retire(before, piece) >= piece && std::chrono::steady_clock::now() < end) {
    }
  } catch (const std::exception& fault) {
    fail_for_good(fault.what());
  }
}

// A crash at any point leaves the blocks, which recovery reads again: the values are absolute, and newer() picks the later
// one in the overlays and in the rows alike.
void RocksStore::fold() {
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t end = 0;
  {
    const std::lock_guard lock(overlay_mutex_);
    if (fresh_.empty()) return;
    std::swap(fresh_, folding_);
    note_backlog();
    folding_since_ms_ = std::exchange(fresh_since_ms_, 0);
    end = fresh_end_;
  }
  try {
    // A backup in between could have the journal's end without the tables.
    const std::lock_guard lock(tables_mutex_);
    write_state(folding_, !tables_put_off_);
    rocksdb::WriteBatch batch;
    const auto mark = database_.logs->mark().encode();
    batch.PutLogData({mark.data(), mark.size()});
    batch.DeleteRange(database_.journal, encode_big_endian(0), encode_big_endian(end));
    batch.Put(database_.documents, "meta/next-block", encode_u64(end));
    const rocksdb::Status status = database_.db->Write({}, &batch);
    if (!status.ok()) throw engine::StoreError(status.ToString());
  } catch (const std::exception& fault) {
    fail_for_good(fault.what());
    return;  // the overlay stays: memory still knows what the rows may lack
  }
  folds_.fetch_add(1, std::memory_order_relaxed);
  fold_ns_.fetch_add(
      static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin).count()),
      std::memory_order_relaxed);
  // Emptied while nobody waits for it. Its memory is kept for the next fold.
  Overlay folded;
  {
    const std::lock_guard lock(overlay_mutex_);
    folding_since_ms_ = 0;
    std::swap(folding_, folded);
    note_backlog();
  }
  folded.clear();
  const std::lock_guard lock(overlay_mutex_);
  std::swap(folding_, folded);
}

// What holds RocksDB's writers up is done at the usual rank: with a lower one this would be stopped within a batch, until
// the scheduler's next tick, and whoever commits waits for it. So everything between two pauses is short. The rest gives
// way.
void RocksStore::write_state(const Overlay& cells, bool as_tables) {
  const std::function<void()> pause = [this] { hurried() ? engine::give_way() : engine::give_way_often(); };
  std::array<std::vector<StateTables::Row>, shard_count> by_shard =
      giving_way([&] { return rows_by_shard(cells, pause); });  // each shard is a column family of its own
  for (std::size_t shard = 0; shard < shard_count; ++shard) {
    std::vector<StateTables::Row>& rows = by_shard[shard];
    if (as_tables && write_table(shard, rows, pause)) {
      const auto begin = std::chrono::steady_clock::now();
      state_tables_.link(database_.state[shard]);
      stand_back(begin);
    } else {
      write_rows(shard, rows);
    }
    rows = {};
  }
  rocksdb::WriteBatch batch;
  for (const std::uint64_t number : cells.erased_users) {
    const CellRowKey begin = encode_cell_key({{number}, 0});
    const CellRowKey end = encode_cell_key({{number + 1}, 0});
    batch.DeleteRange(database_.state[shard_of(engine::UserNumber{number})], {begin.data(), begin.size()},
                      {end.data(), end.size()});
    if (static_cast<std::size_t>(batch.Count()) >= rows_per_batch) write_pausing(batch);
  }
  write_pausing(batch);
}

// False: they are too few, or it cannot be written, and nothing has changed.
bool RocksStore::write_table(std::size_t shard, std::span<const StateTables::Row> rows, const std::function<void()>& pause) {
  if (!state_tables_.takes(rows.size())) return false;
  try {
    giving_way([&] { state_tables_.write(database_.state[shard], rows, pause); });
    return true;
  } catch (const engine::StoreError& fault) {
    if (options_.warn) options_.warn(std::string(fault.what()) + "; its rows go through the log");
    return false;
  }
}

void RocksStore::write_rows(std::size_t shard, std::span<const StateTables::Row> rows) {
  rocksdb::ColumnFamilyHandle* const family = database_.state[shard];
  rocksdb::WriteBatch batch;
  for (const auto& [key, entry] : rows) {
    const CellRowKey row = encode_cell_key(key);
    if (entry.erased) {
      batch.Delete(family, {row.data(), row.size()});
    } else {
      // Not a put: the row may hold a later value already, from a thread that was quicker to queue it.
      const CellRowValue value = encode_cell_value(entry.value);
      batch.Merge(family, {row.data(), row.size()}, {value.data(), value.size()});
    }
    if (static_cast<std::size_t>(batch.Count()) >= rows_per_batch) write_pausing(batch);
  }
  write_pausing(batch);
}

void RocksStore::write_pausing(rocksdb::WriteBatch& batch) {
  if (batch.Count() == 0) return;
  const auto begin = std::chrono::steady_clock::now();
  const rocksdb::Status status = database_.db->Write({}, &batch);
  if (!status.ok()) throw engine::StoreError(status.ToString());
  batch.Clear();
  stand_back(begin);
}

// For as long as that took, unless more has come meanwhile than a fold can keep up with.
void RocksStore::stand_back(std::chrono::steady_clock::time_point begin) const {
  if (hurried()) return;
  std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin, pause_max));
}

void RocksStore::fail_for_good(const std::string& reason) noexcept {
  {
    const std::lock_guard lock(reason_mutex_);
    if (!failed_) reason_ = "a write failed (" + reason + "); the server needs a restart";
  }
  if (!failed_.exchange(true)) {
    try {
      raise_fence(options_.data_dir,
                  engine::wall_now());  // what is on disk is unknown; the next start refuses what was sent
    } catch (const std::exception& fault) {
      if (options_.warn) options_.warn(std::string("no fence could be written: ") + fault.what());
    }
  }
  set_writable();
}

// Before the disk is full, not after: a write that fails half way leaves the unknown.
void RocksStore::look_at_disk() noexcept {
  const std::int64_t now_ms = steady_ms();
  if (!disk_low_ && now_ms - disk_looked_at_ms_.load(std::memory_order_relaxed) < disk_look_ms) return;
  disk_looked_at_ms_.store(now_ms, std::memory_order_relaxed);
  struct statvfs disk {};
  if (statvfs(options_.data_dir.c_str(), &disk) != 0) return;
  disk_low_ = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize < options_.free_bytes_min;
  set_writable();
}

// Long before RocksDB holds writers up for it: linked tables are no writes that it could slow down.
void RocksStore::look_at_tables() {
  constexpr int many = 24;
  bool pile_up = false;
  for (rocksdb::ColumnFamilyHandle* const family : database_.state) {
    std::string files;
    pile_up |= database_.db->GetProperty(family, "rocksdb.num-files-at-level0", &files) && std::stoi(files) >= many;
  }
  tables_pile_up_.store(pile_up, std::memory_order_relaxed);
}

void RocksStore::set_writable() noexcept {
  const std::lock_guard lock(writable_mutex_);
  writable_.store(!failed_ && !disk_low_, std::memory_order_relaxed);
}

engine::StoreHealth RocksStore::health() const {
  engine::StoreHealth health{.writable = writable(), .needs_restart = failed_, .reason = {}};
  if (failed_) {
    const std::lock_guard lock(reason_mutex_);
    health.reason = reason_;
  } else if (disk_low_) {
    health.reason = "less than " + std::to_string(options_.free_bytes_min >> 20) +
                    " MiB are free on the data directory's disk; writes go on when there is room";
  }
  return health;
}

}  // namespace watchword::storage
