#include "storage/rocksdb/audit_chain.h"

#include <algorithm>
#include <memory>

#include "engine/store.h"
#include "storage/rocksdb/format.h"

namespace watchword::storage {
namespace {

// Index keys that one page looks at: with a user and an action asked for, some are in vain.
constexpr std::size_t looks_per_page_max = 20000;
constexpr std::size_t moment_bytes = 16;

std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}
void throw_unless(const rocksdb::Status& status) {
  if (!status.ok()) throw engine::StoreError("the audit trail cannot be read: " + status.ToString());
}

engine::AuditMoment moment_of(std::string_view key) {
  const std::string_view moment = key.substr(key.size() - moment_bytes);
  return {.at_ms = static_cast<std::int64_t>(decode_big_endian(moment.substr(0, 8))),
          .sequence = decode_big_endian(moment.substr(8))};
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

AuditChain::AuditChain(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* documents, rocksdb::ColumnFamilyHandle* entries,
                       rocksdb::ColumnFamilyHandle* index, const engine::SecretBytes& key)
    : db_(db), documents_(documents), entries_(entries), index_(index), key_(key) {
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator({}, entries_));
  at->SeekToLast();
  throw_unless(at->status());
  if (at->Valid()) {
    const std::optional<AuditValue> last = split_audit_value(view(at->value()));
    if (!last || at->key().size() != 8) throw engine::StoreError("the audit trail's last entry cannot be read");
    durable_ = {.sequence = decode_big_endian(view(at->key())), .hash = last->hash};
  } else {
    durable_ = read_audit_start(db_, documents_, key_);
  }
  pending_ = durable_;
  last_ = durable_.sequence;
}

void AuditChain::append(rocksdb::WriteBatch& batch, const engine::AuditEntry& entry) {
  const std::string bytes = encode_audit_entry(entry);
  pending_ = {.sequence = pending_.sequence + 1, .hash = chain_hash(key_, pending_.hash, bytes)};
  std::string value = bytes;
  value.append(reinterpret_cast<const char*>(pending_.hash.data()), pending_.hash.size());
  const std::string moment = audit_moment(entry.at.value, pending_.sequence);
  batch.Put(entries_, encode_big_endian(pending_.sequence), value);
  batch.Put(index_, audit_time_prefix() + moment, "");
  batch.Put(index_, audit_action_prefix(entry.action) + moment, "");
  if (!entry.user.empty()) batch.Put(index_, audit_user_prefix(entry.user) + moment, entry.action);
}

engine::AuditPage AuditChain::query(const engine::AuditQuery& query) const {
  engine::AuditPage page;
  if (query.to.value <= 0 || query.limit == 0) return page;
  const bool by_user = !query.user.empty();
  const std::string prefix = by_user                 ? audit_user_prefix(query.user)
                             : !query.action.empty() ? audit_action_prefix(query.action)
                                                     : audit_time_prefix();
  // The first key that is not wanted any more: the smaller one of the end of the time asked for and of the last page.
  const std::string end = std::min(audit_moment(query.to.value, 0), audit_moment(query.before.at_ms, query.before.sequence));
  const std::string begin = prefix + audit_moment(query.from.value, 0);
  rocksdb::ReadOptions options;
  const rocksdb::Slice lower(begin);
  options.iterate_lower_bound = &lower;
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options, index_));
  const std::string last = prefix + end;
  at->SeekForPrev(last);
  if (at->Valid() && view(at->key()) == last) at->Prev();
  for (std::size_t looks = 0; at->Valid(); at->Prev()) {
    const std::string_view key = view(at->key());
    if (!key.starts_with(prefix) || key.size() != prefix.size() + moment_bytes) break;
    if (page.rows.size() == query.limit || looks++ == looks_per_page_max) {
      at->Next();  // what was looked at last
      if (at->Valid()) page.next = moment_of(view(at->key()));
      return page;
    }
    if (by_user && !query.action.empty() && view(at->value()) != query.action) continue;
    const engine::AuditMoment moment = moment_of(key);
    std::string value;
    const rocksdb::Status status = db_.Get({}, entries_, encode_big_endian(moment.sequence), &value);
    if (status.IsNotFound()) continue;  // retired meanwhile
    throw_unless(status);
    const std::optional<AuditValue> parts = split_audit_value(value);
    std::optional<engine::AuditEntry> entry = parts ? decode_audit_entry(parts->entry) : std::nullopt;
    if (!entry) throw engine::StoreError("audit entry " + std::to_string(moment.sequence) + " cannot be read");
    page.rows.push_back({.sequence = moment.sequence, .entry = std::move(*entry)});
  }
  throw_unless(at->status());
  return page;
}

std::vector<engine::AuditRow> AuditChain::after(std::uint64_t sequence, std::size_t limit) const {
  std::vector<engine::AuditRow> rows;
  const std::uint64_t durable = last();
  if (sequence >= durable) return rows;
  rocksdb::ReadOptions once;
  once.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(once, entries_));
  for (at->Seek(encode_big_endian(sequence + 1)); at->Valid() && rows.size() < limit; at->Next()) {
    const std::uint64_t number = decode_big_endian(view(at->key()));
    if (number > durable) break;  // written, but its sync is not done
    const std::optional<AuditValue> parts = split_audit_value(view(at->value()));
    std::optional<engine::AuditEntry> entry = parts ? decode_audit_entry(parts->entry) : std::nullopt;
    if (!entry) throw engine::StoreError("audit entry " + std::to_string(number) + " cannot be read");
    rows.push_back({.sequence = number, .entry = std::move(*entry)});
  }
  throw_unless(at->status());
  return rows;
}

std::size_t AuditChain::retire(engine::UnixMillis before, std::size_t limit) {
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator({}, entries_));
  rocksdb::WriteBatch batch;
  AuditPlace last;
  std::size_t count = 0;
  for (at->SeekToFirst(); at->Valid() && count < limit; ++count) {
    const std::optional<AuditValue> parts = split_audit_value(view(at->value()));
    const std::optional<engine::AuditEntry> entry = parts ? decode_audit_entry(parts->entry) : std::nullopt;
    if (!entry || entry->at >= before) break;  // what cannot be read is left for `audit verify` to find
    const std::string key(view(at->key()));
    const AuditPlace place{.sequence = decode_big_endian(key), .hash = parts->hash};
    at->Next();
    if (!at->Valid()) break;  // the newest one stays
    const std::string moment = audit_moment(entry->at.value, place.sequence);
    batch.Delete(entries_, key);
    batch.Delete(index_, audit_time_prefix() + moment);
    batch.Delete(index_, audit_action_prefix(entry->action) + moment);
    if (!entry->user.empty()) batch.Delete(index_, audit_user_prefix(entry->user) + moment);
    last = place;
  }
  throw_unless(at->status());
  if (count == 0) return 0;
  if (last.sequence == 0) return 0;
  batch.Put(documents_, rocksdb::Slice(audit_start_key.data(), audit_start_key.size()), encode_audit_start(key_, last));
  throw_unless(db_.Write({}, &batch));
  return count;
}

}  // namespace watchword::storage
