#include "storage/rocksdb/key_table.h"

#include <rocksdb/write_batch.h>

#include <memory>

namespace watchword::storage {
namespace {

void refuse_unless(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) throw OpenError(std::string(what) + ": " + status.ToString());
}

std::string row_of(std::string_view prefix, std::string_view name) {
  return std::string(prefix) + std::string(name);
}

void write_durably(Database& database, rocksdb::WriteBatch& batch) {
  rocksdb::WriteOptions durable;
  durable.sync = true;
  refuse_unless(database.db->Write(durable, &batch), "cannot write the keys");
}

void purge(Database& database, std::string_view prefix) {
  const std::string begin(prefix);
  std::string end(prefix);
  ++end.back();
  const rocksdb::Slice from(begin), to(end);
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  refuse_unless(database.db->CompactRange(options, database.documents, &from, &to), "cannot compact the keys");
}

}  // namespace

KeyRows read_key_rows(const Database& database, std::string_view prefix) {
  KeyRows rows;
  const rocksdb::Slice begin(prefix.data(), prefix.size());
  const std::unique_ptr<rocksdb::Iterator> at(database.db->NewIterator({}, database.documents));
  for (at->Seek(begin); at->Valid() && at->key().starts_with(begin); at->Next()) {
    rows[at->key().ToString().substr(prefix.size())] = at->value().ToString();
  }
  refuse_unless(at->status(), "the keys cannot be read");
  return rows;
}

std::string pending_master_key(const Database& database) {
  std::string text;
  const rocksdb::Status status =
      database.db->Get({}, database.documents, rocksdb::Slice(new_master_key_row.data(), new_master_key_row.size()), &text);
  if (status.IsNotFound()) return "";
  refuse_unless(status, "the keys cannot be read");
  return text;
}

std::vector<engine::DataKeyReport> data_keys_of(const KeyRows& rows) {
  std::vector<engine::DataKeyReport> keys;
  for (const auto& [name, row] : rows) {
    const std::optional<std::uint32_t> version = data_key_version(name);
    if (version) keys.push_back({.version = *version, .made_at_s = data_key_made_at_s(name, row)});
  }
  return keys;  // names sort as versions do
}

KeyRing open_key_table(Database& database, const engine::SecretBytes& master_key) {
  KeyRows rows = read_key_rows(database, key_rows_prefix);
  const KeyRows next = read_key_rows(database, new_key_rows_prefix);
  if (!opens(master_key, rows) && opens(master_key, next)) {
    KeyRing keys = open_keys(master_key, next);
    promote_new_keys(database);
    return keys;
  }
  if (opens(master_key, rows) && !rows.contains("audit")) {
    // A store from before there was a trail.
    rows["audit"] = make_key_row(master_key, "audit");
    rocksdb::WriteBatch batch;
    batch.Put(database.documents, row_of(key_rows_prefix, "audit"), rows["audit"]);
    write_durably(database, batch);
  }
  return open_keys(master_key, rows);
}

void promote_new_keys(Database& database) {
  rocksdb::WriteBatch batch;
  for (const auto& [name, row] : read_key_rows(database, new_key_rows_prefix)) {
    batch.Put(database.documents, row_of(key_rows_prefix, name), row);
    batch.Delete(database.documents, row_of(new_key_rows_prefix, name));
  }
  batch.Delete(database.documents, rocksdb::Slice(new_master_key_row.data(), new_master_key_row.size()));
  write_durably(database, batch);
  purge_key_rows(database);
}

void purge_key_rows(Database& database) {
  purge(database, key_rows_prefix);
  purge(database, new_key_rows_prefix);
}

}  // namespace watchword::storage
