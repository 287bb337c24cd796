#include "storage/rocksdb/rocks_store.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <queue>

#include "engine/thread_rank.h"
#include "storage/fence_file.h"

namespace watchword::storage {
namespace {

constexpr std::string_view document_prefix = "doc/";
constexpr std::string_view next_number_key = "meta/next-number";
constexpr std::uint64_t numbers_reserved = 1u << 20;
// Of `cells` that are not folded yet: 1 with six folds' worth, which is three times what is there when a second fold is due;
// where folds are set to be large, with 190 to 260 MB (64 to 85 bytes a cell), or two folds.
double memory_filled_by(std::size_t cells, std::size_t fold_cells) {
  constexpr std::size_t cells_max = 3'000'000;
  const std::size_t full = std::max(2 * fold_cells, std::min(6 * fold_cells, cells_max));
  if (cells < full) return static_cast<double>(cells) / static_cast<double>(full);
  // Where folds are set to be small, six of them are little memory, and as much beyond is no reason for haste.
  return 1 + static_cast<double>(cells - full) / static_cast<double>(cells_max);
}

void throw_unless(const rocksdb::Status& status) {
  if (!status.ok()) throw engine::StoreError("the store cannot be read: " + status.ToString());
}

void throw_unless_written(const rocksdb::Status& status) {
  if (!status.ok()) throw engine::StoreError("the store cannot be written: " + status.ToString());
}

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

// nullopt: no such key.
std::optional<std::string> get(const Database& database, rocksdb::ColumnFamilyHandle* family, std::string_view key) {
  std::string value;
  const rocksdb::Status status = database.db->Get({}, family, slice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  throw_unless(status);
  return value;
}

}  // namespace

RocksStore::RocksStore(OpenedDatabase opened, const RocksStoreOptions& options)
    : options_(options),
      lock_(std::move(opened.lock)),
      database_(std::move(opened.database)),
      keys_(std::move(opened.keys)),
      audit_(*database_.db, database_.documents, database_.audit, database_.audit_index, keys_.audit_key()),
      fence_(read_fence(options.data_dir)),
      state_tables_(*database_.db, options.data_dir / "folding", options.table_rows_min) {
  read_keys_report(opened.master_key_fingerprint);
  report_.resealing = report_.data_keys.size() > 1;  // nobody else is there yet
  if (const auto number = get(database_, database_.documents, next_number_key)) next_number_ = decode_u64(*number);
  recover_journal();
  look_at_disk();
  folder_ = std::thread([this] { run_folds(); });
  resealer_ = std::thread([this] { run_reseals(); });
}

RocksStore::~RocksStore() {
  {
    const std::lock_guard lock(reseal_mutex_);
    reseal_stopping_ = true;
  }
  reseal_wake_.notify_all();
  resealer_.join();
  {
    const std::lock_guard lock(fold_mutex_);
    stopping_ = true;
  }
  fold_wake_.notify_one();
  folder_.join();
  if (failed_) return;
  fold();
  // With nothing left in memory the next start has no log to read.
  rocksdb::FlushOptions flush;
  flush.wait = true;
  database_.db->Flush(flush, database_.all);
}

void RocksStore::recover_journal() {
  if (const auto next = get(database_, database_.documents, "meta/next-block")) next_block_ = decode_u64(*next);
  const std::unique_ptr<rocksdb::Iterator> at(database_.db->NewIterator({}, database_.journal));
  const BlockVisitor visitor{.write = [this](const engine::CellWrite& write) { fresh_.write(write); },
                             .erase = [this](engine::CellKey key) { fresh_.erase(key); },
                             .erase_user = [this](engine::UserNumber number) { fresh_.erase_user(number); }};
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    decode_block(view(at->value()), visitor);
    next_block_ = std::max(next_block_, decode_big_endian(view(at->key())) + 1);
  }
  throw_unless(at->status());
  fresh_end_ = next_block_;
  if (!fresh_.empty()) fresh_since_ms_ = steady_ms();
}

void RocksStore::advance(std::span<const engine::CellWrite> cells, std::span<const engine::Change* const> changes,
                         std::span<engine::Outcome> cell_outcomes, std::span<engine::Outcome> change_outcomes) noexcept {
  bool durable = false;
  try {
    look_at_disk();
    if (!failed_ && writable()) durable = write_group(cells, changes);
  } catch (const std::exception& fault) {
    fail_for_good(fault.what());
  }
  const engine::Outcome outcome = durable ? engine::Outcome::durable : engine::Outcome::failed;
  std::fill(cell_outcomes.begin(), cell_outcomes.end(), outcome);
  std::fill(change_outcomes.begin(), change_outcomes.end(), outcome);
}

bool RocksStore::write_group(std::span<const engine::CellWrite> cells, std::span<const engine::Change* const> changes) {
  const std::lock_guard flight(flight_mutex_);
  begin_block(block_);
  const std::size_t nothing = block_.size();
  for (const engine::CellWrite& cell : cells) append_write(block_, cell);
  // Kept from group to group, unless it was a large one: what is given back is wiped, and what grows is copied.
  constexpr std::size_t batch_bytes_kept_max = 4 << 20;
  if (batch_.GetDataSize() > batch_bytes_kept_max) batch_ = rocksdb::WriteBatch();
  batch_.Clear();
  const auto mark = database_.logs->mark_group().encode();
  batch_.PutLogData({mark.data(), mark.size()});
  if (!changes.empty()) {
    const std::lock_guard lock(touched_mutex_);
    for (const engine::Change* change : changes) put_change(batch_, *change);
  }
  if (block_.size() > nothing) batch_.Put(database_.journal, encode_big_endian(next_block_), block_);
  rocksdb::WriteOptions durable;
  durable.sync = true;
  const rocksdb::Status status = database_.db->Write(durable, &batch_);
  if (!status.ok()) {
    fail_for_good(status.ToString());
    return false;
  }
  audit_.written();
  ++next_block_;
  remember(cells, changes);
  return true;
}

void RocksStore::put_change(rocksdb::WriteBatch& batch, const engine::Change& change) {
  put_users(batch, change.put_users);
  for (const auto& [user, number] : change.erase_users) {
    batch.Delete(database_.registrations[shard_of(user)], user);
    if (watching_) touched_.insert(user);
    append_erase_user(block_, number);
  }
  for (const engine::CellWrite& cell : change.cells) append_write(block_, cell);
  for (const engine::CellKey& key : change.erase_cells) append_erase(block_, key);
  for (const auto& [name, text] : change.put_documents) {
    batch.Put(database_.documents, std::string(document_prefix) + name, text);
  }
  for (const std::string& name : change.erase_documents) {
    batch.Delete(database_.documents, std::string(document_prefix) + name);
  }
  for (const auto& [name, row] : change.put_keys) batch.Put(database_.documents, name, row);
  audit_.append(batch, change.audit);
  audit_.append(batch, change.notes);
}

void RocksStore::put_rows(rocksdb::WriteBatch& batch, std::span<const engine::UserRecord> users) {
  for (const engine::UserRecord& user : users) {
    batch.Put(database_.registrations[shard_of(user.user)], user.user, encode_row(user, keys_));
    if (watching_) touched_.insert(user.user);
  }
}

void RocksStore::put_users(rocksdb::WriteBatch& batch, std::span<const engine::UserRecord> users) {
  if (users.empty()) return;
  put_rows(batch, users);
  // All numbers in these rows were allocated before, so they are below this one.
  batch.Put(database_.documents, slice(next_number_key), encode_u64(next_number_.load()));
}

void RocksStore::remember(std::span<const engine::CellWrite> cells, std::span<const engine::Change* const> changes) {
  std::size_t size = 0;
  {
    const std::lock_guard lock(overlay_mutex_);
    fresh_.write(cells);
    for (const engine::Change* change : changes) {
      for (const auto& [user, number] : change->erase_users) fresh_.erase_user(number);
      for (const engine::CellWrite& cell : change->cells) fresh_.write(cell);
      for (const engine::CellKey& key : change->erase_cells) fresh_.erase(key);
    }
    fresh_end_ = next_block_;
    if (fresh_since_ms_ == 0 && !fresh_.empty()) fresh_since_ms_ = steady_ms();
    size = fresh_.cells.size();
    note_backlog();
  }
  if (size < options_.unfolded_cells_max || fold_due_.exchange(true)) return;
  const std::lock_guard lock(fold_mutex_);
  fold_wake_.notify_one();
}

// Under overlay_mutex_, so that no older look overwrites a newer one.
void RocksStore::note_backlog() {
  const std::size_t fresh = fresh_.cells.size(), folding = folding_.cells.size();
  // A fold that is due is still waiting for the one before it.
  folds_behind_.store(fresh >= 2 * options_.unfolded_cells_max, std::memory_order_relaxed);
  memory_filled_.store(memory_filled_by(fresh + folding, options_.unfolded_cells_max), std::memory_order_relaxed);
}

std::optional<engine::LoadedUser> RocksStore::load(std::string_view user) {
  const std::optional<std::string> row = get(database_, database_.registrations[shard_of(user)], user);
  if (!row) return std::nullopt;
  engine::LoadedUser loaded;
  loaded.record = decode_row(user, *row, keys_);
  // The overlays are looked at before the state rows: what a fold carries over meanwhile is then in one of the two, or in
  // both.
  std::vector<std::pair<engine::CellKey, engine::CellValue>> cells;
  cells.push_back({{loaded.record.number, engine::throttle_slot}, {}});
  for (const auto& device : loaded.record.devices) cells.push_back({{loaded.record.number, device.slot}, {}});
  {
    const std::lock_guard lock(overlay_mutex_);
    for (auto& [key, value] : cells) {
      fresh_.lay_over(key, value);
      folding_.lay_over(key, value);
    }
  }
  for (auto& [key, value] : cells) {
    const auto folded = get(database_, database_.state[shard_of(loaded.record.number)], view(encode_cell_key(key)));
    if (folded) value = engine::newer(key.slot, value, decode_cell_value(*folded));
  }
  loaded.throttle = cells.front().second;
  for (std::size_t i = 1; i < cells.size(); ++i) loaded.replay.push_back(cells[i].second);
  return loaded;
}

// All shards at once, in byte order.
void RocksStore::walk(std::string_view prefix, std::string_view after,
                      const std::function<bool(std::string_view user, std::string_view row)>& visit) {
  std::vector<rocksdb::Iterator*> opened;
  const std::vector<rocksdb::ColumnFamilyHandle*> families(database_.registrations.begin(), database_.registrations.end());
  throw_unless(database_.db->NewIterators({}, families, &opened));
  std::vector<std::unique_ptr<rocksdb::Iterator>> owned(opened.begin(), opened.end());
  const auto later = [](const rocksdb::Iterator* a, const rocksdb::Iterator* b) { return a->key().compare(b->key()) > 0; };
  std::priority_queue<rocksdb::Iterator*, std::vector<rocksdb::Iterator*>, decltype(later)> next(later);
  const std::string_view from = std::max(prefix, after);
  const auto enqueue = [&](rocksdb::Iterator* at) {
    throw_unless(at->status());
    if (at->Valid() && view(at->key()).starts_with(prefix)) next.push(at);
  };
  for (rocksdb::Iterator* at : opened) {
    at->Seek(slice(from));
    if (!after.empty() && at->Valid() && view(at->key()) == after) at->Next();
    enqueue(at);
  }
  while (!next.empty()) {
    rocksdb::Iterator* const at = next.top();
    next.pop();
    engine::give_way();
    if (!visit(view(at->key()), view(at->value()))) return;
    at->Next();
    enqueue(at);
  }
}

engine::UserPage RocksStore::list(std::string_view prefix, std::string_view after, std::size_t limit) {
  engine::UserPage page;
  walk(prefix, after, [&](std::string_view user, std::string_view row) {
    page.more = page.users.size() == limit;
    if (!page.more) page.users.push_back(summarise_row(user, row));
    return !page.more;
  });
  return page;
}

void RocksStore::for_each_user(const std::function<bool(const engine::UserRecord&)>& visit) {
  walk("", "", [&](std::string_view user, std::string_view row) { return visit(decode_row(user, row, keys_)); });
}

void RocksStore::scan(std::string_view after, const std::function<bool(const engine::UserRecord&)>& visit) {
  walk("", after, [&](std::string_view user, std::string_view row) { return visit(decode_row_sealed(user, row)); });
}

engine::UserNumber RocksStore::allocate_number(std::string_view user) {
  return {next_number_.fetch_add(1) * shard_count + shard_of(user)};
}

std::optional<std::string> RocksStore::document(std::string_view name) {
  return get(database_, database_.documents, std::string(document_prefix) + std::string(name));
}

std::vector<std::pair<std::string, std::string>> RocksStore::documents(std::string_view prefix) {
  const std::string begin = std::string(document_prefix) + std::string(prefix);
  std::vector<std::pair<std::string, std::string>> found;
  const std::unique_ptr<rocksdb::Iterator> at(database_.db->NewIterator({}, database_.documents));
  for (at->Seek(begin); at->Valid() && view(at->key()).starts_with(begin); at->Next()) {
    found.emplace_back(view(at->key()).substr(document_prefix.size()), view(at->value()));
  }
  throw_unless(at->status());
  return found;
}

// Rows reach the disk in no order, so the numbers that they hold are put out of use before, with a sync.
void RocksStore::reserve_numbers() {
  if (next_number_.load() <= reserved_number_) return;
  reserved_number_ = next_number_.load() + numbers_reserved;
  rocksdb::WriteOptions durable;
  durable.sync = true;
  throw_unless_written(
      database_.db->Put(durable, database_.documents, slice(next_number_key), encode_u64(reserved_number_)));
}

void RocksStore::put_bulk(std::span<const engine::UserRecord> users) {
  reserve_numbers();
  const std::lock_guard flight(flight_mutex_);
  rocksdb::WriteBatch batch;
  {
    const std::lock_guard lock(touched_mutex_);
    put_rows(batch, users);
  }
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  throw_unless_written(database_.db->Write(unlogged, &batch));
}

void RocksStore::finish_bulk() {
  rocksdb::FlushOptions flush;
  flush.wait = true;
  throw_unless_written(database_.db->Flush(flush, database_.all));
}

}  // namespace watchword::storage
