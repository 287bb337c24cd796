// After a rotation: every secret that is sealed under an older data key is sealed anew, beside everything else that goes on.
//
//   meta/reseal := version of the new key: u32, users done: u64, shard: u8, last user that was looked at
//
// What is written meanwhile is under the new key already, so only what nobody touches is left to do. Rows are read without a
// lock; before sealed rows are written, those that changed since they were read are left out. The old key goes once a whole
// pass has found nothing under it. A crash costs what was done since the cursor was written last, which is with each piece.
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>

#include "storage/rocksdb/key_table.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {

struct ResealCursor {
  std::uint32_t version = 0;
  std::uint64_t done = 0;
  std::size_t shard = 0;
  std::string user;
};

namespace {

constexpr std::string_view cursor_row = "meta/reseal";
// A piece is written while nobody puts changes together: some tens of microseconds.
constexpr std::size_t rows_per_piece = 16;
// A stretch has one iterator, and what changes meanwhile is remembered by name.
constexpr std::size_t rows_per_stretch = 1024;
// Looking is far cheaper than sealing; it is paced too, so that a pass over rows that are done leaves the disk to others.
constexpr std::size_t looks_per_row = 20;

std::string encode_cursor(const ResealCursor& cursor) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(cursor.version >> (8 * i));
  out += encode_u64(cursor.done);
  out += static_cast<char>(cursor.shard);
  return out + cursor.user;
}

// A cursor of another rotation, or one that cannot be read, is the beginning.
ResealCursor decode_cursor(std::string_view bytes, std::uint32_t version) {
  constexpr std::size_t head_bytes = 4 + 8 + 1;
  ResealCursor start{.version = version, .done = 0, .shard = 0, .user = {}};
  if (bytes.size() < head_bytes || sealing_version(bytes) != version) return start;
  const std::size_t shard = static_cast<std::uint8_t>(bytes[head_bytes - 1]);
  if (shard >= shard_count) return start;
  return {.version = version,
          .done = decode_u64(bytes.substr(4, 8)),
          .shard = shard,
          .user = std::string(bytes.substr(head_bytes))};
}

void throw_unless(const rocksdb::Status& status) {
  if (!status.ok()) throw engine::StoreError("secrets cannot be sealed anew: " + status.ToString());
}

std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

void RocksStore::run_reseals() {
  pthread_setname_np(pthread_self(), "reseal");
  bool due = keys().resealing;  // from before the start
  for (;;) {
    if (due) {
      try {
        reseal();
      } catch (const std::exception& fault) {
        watch_writes(false);
        if (options_.warn) options_.warn(std::string("sealing anew stopped until the next start: ") + fault.what());
        const std::lock_guard lock(report_mutex_);
        report_.resealing = false;
      }
    }
    std::unique_lock lock(reseal_mutex_);
    reseal_wake_.wait(lock, [this] { return reseal_stopping_ || reseal_due_; });
    if (reseal_stopping_) return;
    reseal_due_ = false;
    due = true;
  }
}

void RocksStore::reseal() {
  std::uint64_t rows = 0;
  for (rocksdb::ColumnFamilyHandle* const family : database_.registrations) {
    std::uint64_t some = 0;
    if (database_.db->GetIntProperty(family, "rocksdb.estimate-num-keys", &some)) rows += some;
  }
  std::string saved;
  const rocksdb::Status status =
      database_.db->Get({}, database_.documents, rocksdb::Slice(cursor_row.data(), cursor_row.size()), &saved);
  if (!status.IsNotFound()) throw_unless(status);
  ResealCursor cursor = decode_cursor(saved, keys_.newest_version());
  {
    const std::lock_guard lock(report_mutex_);
    report_.resealing = true;
    report_.rows_estimated = rows;
    report_.rows_done = cursor.done;
    report_.rows_unreadable = 0;
  }
  for (;;) {
    const bool whole = cursor.shard == 0 && cursor.user.empty();
    const std::uint64_t before = cursor.done;
    if (!reseal_pass(cursor)) return;  // the store is being closed
    if (whole && cursor.done == before) break;
    cursor.shard = 0;
    cursor.user.clear();
  }
  if (keys().rows_unreadable == 0) destroy_old_keys();
  const std::lock_guard lock(report_mutex_);
  report_.resealing = false;
}

// Every shard to its end. False: stopped.
bool RocksStore::reseal_pass(ResealCursor& cursor) {
  {
    const std::lock_guard lock(report_mutex_);
    report_.rows_unreadable = 0;
  }
  for (; cursor.shard < shard_count; ++cursor.shard, cursor.user.clear()) {
    for (bool shard_done = false; !shard_done;) {
      const std::size_t looked_at = reseal_stretch(cursor, shard_done);
      watch_writes(false);
      if (!pause_reseal(looked_at / looks_per_row)) return false;
    }
  }
  return true;
}

// On: what an iterator shows that is made afterwards is as it was then, or is among the touched ones. A write that is on its
// way is waited for, since it is seen by neither.
void RocksStore::watch_writes(bool on) {
  std::unique_lock<std::mutex> flight;
  if (on) flight = std::unique_lock(flight_mutex_);
  const std::lock_guard lock(touched_mutex_);
  watching_ = on;
  touched_.clear();
}

// Returns how many rows it looked at without sealing them.
std::size_t RocksStore::reseal_stretch(ResealCursor& cursor, bool& shard_done) {
  watch_writes(true);
  rocksdb::ReadOptions once;
  once.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(database_.db->NewIterator(once, database_.registrations[cursor.shard]));
  at->Seek(cursor.user);
  if (!cursor.user.empty() && at->Valid() && view(at->key()) == cursor.user) at->Next();
  std::vector<std::pair<std::string, std::string>> piece;
  std::size_t looked_at = 0;
  const auto write_piece = [&] {
    write_resealed(piece, cursor);
    const std::size_t rows = std::exchange(piece, {}).size();
    return pause_reseal(rows);
  };
  for (std::size_t rows = 0; at->Valid() && rows < rows_per_stretch; at->Next(), ++rows) {
    const std::string_view user = view(at->key()), row = view(at->value());
    cursor.user = user;
    try {
      if (oldest_seal(user, row).value_or(cursor.version) >= cursor.version) {
        ++looked_at;
        continue;
      }
      piece.emplace_back(user, encode_row(decode_row(user, row, keys_), keys_));
      ++cursor.done;
    } catch (const engine::StoreError& fault) {
      // Damaged: it keeps its key, which is so kept from being destroyed.
      const std::lock_guard lock(report_mutex_);
      if (++report_.rows_unreadable == 1 && options_.warn) {
        options_.warn(std::string("a row cannot be sealed anew: ") + fault.what());
      }
    }
    if (piece.size() == rows_per_piece && !write_piece()) return looked_at;
  }
  throw_unless(at->status());
  shard_done = !at->Valid();
  if (!piece.empty()) write_piece();
  return looked_at;
}

void RocksStore::write_resealed(std::span<const std::pair<std::string, std::string>> rows, const ResealCursor& cursor) {
  rocksdb::WriteBatch batch;
  const std::lock_guard lock(touched_mutex_);
  for (const auto& [user, row] : rows) {
    if (!touched_.contains(user)) batch.Put(database_.registrations[cursor.shard], user, row);
  }
  batch.Put(database_.documents, rocksdb::Slice(cursor_row.data(), cursor_row.size()), encode_cursor(cursor));
  if (failed_) throw engine::StoreError("the store takes no writes");
  const rocksdb::Status status = database_.db->Write({}, &batch);
  if (!status.ok()) {
    fail_for_good(status.ToString());
    throw_unless(status);
  }
  const std::lock_guard report(report_mutex_);
  report_.rows_done = cursor.done;
  report_.rows_estimated = std::max(report_.rows_estimated, cursor.done);
}

void RocksStore::destroy_old_keys() {
  const std::lock_guard alone(rotation_mutex_);
  const std::uint32_t newest = keys_.newest_version();
  rocksdb::WriteBatch batch;
  for (const std::string_view prefix : {key_rows_prefix, new_key_rows_prefix}) {
    for (const auto& [name, row] : read_key_rows(database_, prefix)) {
      const std::optional<std::uint32_t> version = data_key_version(name);
      if (version && *version < newest) batch.Delete(database_.documents, std::string(prefix) + name);
    }
  }
  batch.Delete(database_.documents, rocksdb::Slice(cursor_row.data(), cursor_row.size()));
  rocksdb::WriteOptions durable;
  durable.sync = true;
  const rocksdb::Status status = database_.db->Write(durable, &batch);
  if (!status.ok()) {
    fail_for_good(status.ToString());
    throw_unless(status);
  }
  purge_key_rows(database_);
  read_keys_report("");
}

// As long as so many rows may take. False: the store is being closed.
bool RocksStore::pause_reseal(std::size_t rows) {
  std::unique_lock lock(reseal_mutex_);
  const std::uint32_t per_s = options_.reseal_rows_per_s_max;
  const auto pause = std::chrono::microseconds(per_s == 0 ? 0 : rows * 1'000'000 / per_s);
  if (pause.count() > 0) reseal_wake_.wait_for(lock, pause, [this] { return reseal_stopping_; });
  // A disk that runs low: on when there is room again.
  while (!reseal_stopping_ && !writable() && !failed_) {
    reseal_wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return reseal_stopping_; });
  }
  return !reseal_stopping_;
}

}  // namespace watchword::storage
