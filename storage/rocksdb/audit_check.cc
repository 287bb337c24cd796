#include <memory>

#include "storage/audit.h"
#include "storage/rocksdb/audit_chain.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {
namespace {

std::string_view view(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

AuditVerdict broken(AuditVerdict verdict, std::uint64_t at, std::string reason) {
  verdict.intact = false;
  verdict.broken_at = at;
  verdict.reason = std::move(reason);
  return verdict;
}

AuditPlace last_place(const OpenedDatabase& opened, const engine::SecretBytes& key) {
  const std::unique_ptr<rocksdb::Iterator> at(opened.database.db->NewIterator({}, opened.database.audit));
  at->SeekToLast();
  if (!at->Valid()) return read_audit_start(*opened.database.db, opened.database.documents, key);
  return read_audit_place(view(at->key()), view(at->value()));
}

}  // namespace

AuditVerdict verify_audit(const RocksStoreOptions& options, const std::optional<std::string>& saved_head) {
  const OpenedDatabase opened = open_existing(options);
  const engine::SecretBytes& key = opened.keys.audit_key();
  AuditVerdict verdict{.intact = true};
  AuditPlace place;
  try {
    place = read_audit_start(*opened.database.db, opened.database.documents, key);
  } catch (const engine::StoreError& fault) {
    return broken(verdict, 1, fault.what());
  }
  std::optional<AuditPlace> head;
  if (saved_head) {
    head = parse_audit_head(key, *saved_head);
    if (!head) return broken(verdict, 0, "the saved head is not one of this data directory, or it was changed");
    if (head->sequence < place.sequence) {
      return broken(verdict, head->sequence, "the saved head is older than the oldest entry kept: save heads more often");
    }
  }
  // The saved head has to be met on the way: at the place before the first entry, or at one of the entries.
  bool met = !head || *head == place;
  rocksdb::ReadOptions once;
  once.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(opened.database.db->NewIterator(once, opened.database.audit));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const std::uint64_t expected = place.sequence + 1;
    if (at->key().size() != 8) return broken(verdict, expected, "there is a row that is no entry");
    const std::uint64_t sequence = decode_big_endian(view(at->key()));
    if (sequence != expected) {
      return broken(verdict, expected,
                    "entry " + std::to_string(expected) + " is missing; the next one is " + std::to_string(sequence));
    }
    const std::optional<AuditValue> value = split_audit_value(view(at->value()));
    const std::size_t entries = value ? decode_audit_row(value->row).size() : 0;
    if (entries == 0 || chain_hash(key, place.hash, value->row) != value->hash) {
      const std::string which = entries > 1 ? "a row of entries from " : "entry ";
      return broken(
          verdict, sequence,
          which + std::to_string(sequence) + " does not follow from the one before it: it, or its place, was changed");
    }
    place = {.sequence = sequence + entries - 1, .hash = value->hash};
    if (verdict.first == 0) verdict.first = sequence;
    verdict.last = place.sequence;
    if (head && head->sequence >= sequence && head->sequence <= place.sequence) {
      if (!(*head == place)) return broken(verdict, sequence, "the trail is not the one whose head was saved");
      met = true;
    }
  }
  if (!at->status().ok()) return broken(verdict, place.sequence + 1, "the store cannot be read: " + at->status().ToString());
  if (!met) {
    return broken(verdict, place.sequence + 1,
                  "the trail ends at entry " + std::to_string(place.sequence) + ", but the saved head is of entry " +
                      std::to_string(head->sequence) + ": its end was cut off");
  }
  return verdict;
}

std::string audit_head(const RocksStoreOptions& options) {
  const OpenedDatabase opened = open_existing(options);
  return audit_head_text(opened.keys.audit_key(), last_place(opened, opened.keys.audit_key()));
}

void for_each_audit_row(const RocksStoreOptions& options, const std::function<void(const engine::AuditRow&)>& visit) {
  const OpenedDatabase opened = open_existing(options);
  const std::unique_ptr<rocksdb::Iterator> at(opened.database.db->NewIterator({}, opened.database.audit));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    const std::optional<AuditValue> value = split_audit_value(view(at->value()));
    std::vector<engine::AuditEntry> entries;
    if (value) entries = decode_audit_row(value->row);
    if (entries.empty()) throw engine::StoreError("there is an entry that cannot be read; run: watchword audit verify");
    std::uint64_t sequence = decode_big_endian(view(at->key()));
    for (engine::AuditEntry& entry : entries) visit({.sequence = sequence++, .entry = std::move(entry)});
  }
  if (!at->status().ok()) throw engine::StoreError("the audit trail cannot be read: " + at->status().ToString());
}

}  // namespace watchword::storage
