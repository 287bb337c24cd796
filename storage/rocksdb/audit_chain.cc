#include "storage/rocksdb/audit_chain.h"

#include <algorithm>
#include <memory>

#include "engine/store.h"
#include "storage/rocksdb/format.h"

namespace watchword::storage {
namespace {

// Fewer are not worth a bundle: alone, each is in the index by its user.
constexpr std::size_t bundle_entries_min = 4;

std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}
void throw_unless(const rocksdb::Status& status) {
  if (!status.ok()) throw engine::StoreError("the audit trail cannot be read: " + status.ToString());
}

// The distinct ones. They are few.
template <class Entry>
std::vector<std::string_view> actions_of(std::span<const Entry> entries) {
  std::vector<std::string_view> actions;
  for (const Entry& entry : entries) {
    if (std::find(actions.begin(), actions.end(), entry.action) == actions.end()) actions.push_back(entry.action);
  }
  return actions;
}

}  // namespace

AuditPlace read_audit_start(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* documents, const engine::SecretBytes& key) {
  std::string bytes;
  const rocksdb::Status status =
      db.Get({}, documents, rocksdb::Slice(audit_start_key.data(), audit_start_key.size()), &bytes);
  if (status.IsNotFound()) return {};
  throw_unless(status);
  const std::optional<AuditPlace> start = decode_audit_start(key, bytes);
  if (!start) throw engine::StoreError("the audit trail's start record was changed from outside");
  return *start;
}

AuditPlace read_audit_place(std::string_view key, std::string_view value) {
  const std::optional<AuditValue> parts = split_audit_value(value);
  const std::size_t entries = parts ? audit_row_length(parts->row) : 0;
  if (entries == 0 || key.size() != 8) throw engine::StoreError("the audit trail's last entry cannot be read");
  return {.sequence = decode_big_endian(key) + entries - 1, .hash = parts->hash};
}

AuditChain::AuditChain(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* documents, rocksdb::ColumnFamilyHandle* entries,
                       rocksdb::ColumnFamilyHandle* index, const engine::SecretBytes& key)
    : db_(db), documents_(documents), entries_(entries), index_(index), key_(key) {
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator({}, entries_));
  at->SeekToLast();
  throw_unless(at->status());
  durable_ = at->Valid() ? read_audit_place(view(at->key()), view(at->value())) : read_audit_start(db_, documents_, key_);
  pending_ = durable_;
  last_ = durable_.sequence;
}

void AuditChain::append(rocksdb::WriteBatch& batch, std::span<const engine::AuditEntry> entries) {
  std::vector<engine::AuditNote> notes(entries.size());
  std::transform(entries.begin(), entries.end(), notes.begin(), engine::note_of);
  append(batch, notes);
}

void AuditChain::append(rocksdb::WriteBatch& batch, std::span<const engine::AuditNote> entries) {
  while (!entries.empty()) {
    const std::size_t count = bundle_length(entries);
    if (count < bundle_entries_min) {
      for (const engine::AuditNote& entry : entries.first(count)) append_entry(batch, entry);
    } else {
      append_bundle(batch, entries.first(count));
    }
    entries = entries.subspan(count);
  }
}

void AuditChain::append_row(rocksdb::WriteBatch& batch, std::string& row, std::size_t entries) {
  const std::uint64_t first = pending_.sequence + 1;
  pending_ = {.sequence = pending_.sequence + entries, .hash = chain_hash(key_, pending_.hash, row)};
  row.append(reinterpret_cast<const char*>(pending_.hash.data()), pending_.hash.size());
  batch.Put(entries_, encode_big_endian(first), row);
}

void AuditChain::append_entry(rocksdb::WriteBatch& batch, const engine::AuditNote& entry) {
  const std::string moment = audit_moment(entry.at.value, pending_.sequence + 1);
  encode_audit_entry(row_, entry);
  append_row(batch, row_, 1);
  batch.Put(index_, audit_time_prefix() + moment, "");
  batch.Put(index_, audit_action_prefix(entry.action) + moment, "");
  if (!entry.user.empty()) batch.Put(index_, audit_user_prefix(entry.user) + moment, entry.action);
}

void AuditChain::append_bundle(rocksdb::WriteBatch& batch, std::span<const engine::AuditNote> entries) {
  const std::string moment = audit_moment(entries.back().at.value, pending_.sequence + 1);
  encode_audit_bundle(row_, entries);
  append_row(batch, row_, entries.size());
  batch.Put(index_, audit_time_prefix() + moment, "");
  summary_.clear();
  for (const engine::AuditNote& entry : entries) append_audit_mark(summary_, audit_user_mark(entry.user));
  batch.Put(index_, audit_summary_prefix() + moment, summary_);
  for (const std::string_view action : actions_of(entries)) {
    batch.Put(index_, audit_action_prefix(action) + moment, "");
  }
}

std::vector<engine::AuditEntry> AuditChain::read_row(std::uint64_t sequence) const {
  std::string value;
  const rocksdb::Status status = db_.Get({}, entries_, encode_big_endian(sequence), &value);
  if (status.IsNotFound()) return {};
  throw_unless(status);
  const std::optional<AuditValue> parts = split_audit_value(value);
  std::vector<engine::AuditEntry> entries;
  if (parts) entries = decode_audit_row(parts->row);
  if (entries.empty()) throw engine::StoreError("audit entry " + std::to_string(sequence) + " cannot be read");
  return entries;
}

std::vector<engine::AuditRow> AuditChain::after(std::uint64_t sequence, std::size_t limit) const {
  std::vector<engine::AuditRow> rows;
  const std::uint64_t durable = last();
  if (sequence >= durable) return rows;
  rocksdb::ReadOptions once;
  once.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(once, entries_));
  at->SeekForPrev(encode_big_endian(sequence + 1));  // the row that it is in, or the one before
  if (!at->Valid()) at->SeekToFirst();
  for (; at->Valid() && rows.size() < limit; at->Next()) {
    std::uint64_t number = decode_big_endian(view(at->key()));
    if (number > durable) break;  // written, but its sync is not done
    const std::optional<AuditValue> parts = split_audit_value(view(at->value()));
    std::vector<engine::AuditEntry> entries;
    if (parts) entries = decode_audit_row(parts->row);
    if (entries.empty()) throw engine::StoreError("audit entry " + std::to_string(number) + " cannot be read");
    for (engine::AuditEntry& entry : entries) {
      if (number > sequence && rows.size() < limit) rows.push_back({.sequence = number, .entry = std::move(entry)});
      ++number;
    }
  }
  throw_unless(at->status());
  return rows;
}

std::size_t AuditChain::retire(engine::UnixMillis before, std::size_t limit) {
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator({}, entries_));
  rocksdb::WriteBatch batch;
  AuditPlace last;
  std::size_t count = 0;
  at->SeekToFirst();
  while (at->Valid() && count < limit) {
    const std::optional<AuditValue> parts = split_audit_value(view(at->value()));
    std::vector<engine::AuditEntry> entries;
    if (parts) entries = decode_audit_row(parts->row);
    // What cannot be read is left for `audit verify` to find.
    if (entries.empty() || entries.back().at >= before) break;
    const std::string key(view(at->key()));
    const std::uint64_t first = decode_big_endian(key);
    at->Next();
    if (!at->Valid()) break;  // the newest one stays
    const std::string moment = audit_moment(entries.back().at.value, first);
    batch.Delete(entries_, key);
    batch.Delete(index_, audit_time_prefix() + moment);
    for (const std::string_view action : actions_of(std::span<const engine::AuditEntry>(entries))) {
      batch.Delete(index_, audit_action_prefix(action) + moment);
    }
    if (entries.size() > 1) batch.Delete(index_, audit_summary_prefix() + moment);
    if (entries.size() == 1 && !entries.front().user.empty()) {
      batch.Delete(index_, audit_user_prefix(entries.front().user) + moment);
    }
    last = {.sequence = first + entries.size() - 1, .hash = parts->hash};
    count += entries.size();
  }
  throw_unless(at->status());
  if (count == 0) return 0;
  batch.Put(documents_, rocksdb::Slice(audit_start_key.data(), audit_start_key.size()), encode_audit_start(key_, last));
  throw_unless(db_.Write({}, &batch));
  return count;
}

}  // namespace watchword::storage
