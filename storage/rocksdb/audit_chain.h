// The audit trail in the store: a chain of keyed hashes, with an index by time, user and action (audit_format.h).
//
// append() and written() belong to the one thread that writes groups; query(), last() and after() to any; retire() to one
// housekeeping thread. The writer touches the tail alone, the housekeeper the front alone, and the newest entry is never
// retired.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/audit_query.h"
#include "storage/rocksdb/audit_format.h"

namespace watchword::storage {

class AuditChain {
 public:
  // The database and its families outlive the chain. Throws engine::StoreError: the store's start record is not of this key.
  AuditChain(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* documents, rocksdb::ColumnFamilyHandle* entries,
             rocksdb::ColumnFamilyHandle* index, const engine::SecretBytes& key);

  // Adds the entries of one change to the batch: a few as rows of their own, which the index knows each, many as bundles.
  // Several a batch; written() once the batch is durable.
  void append(rocksdb::WriteBatch& batch, std::span<const engine::AuditNote> entries);
  void append(rocksdb::WriteBatch& batch, std::span<const engine::AuditEntry> entries);
  void written() {
    durable_ = pending_;
    last_.store(durable_.sequence, std::memory_order_release);
  }

  // `effort_max`: when to stop looking and say where to go on; in looks at an index key, some 0.3 us each.
  static constexpr std::size_t effort_per_page = 200'000;
  engine::AuditPage query(const engine::AuditQuery& query, std::size_t effort_max = effort_per_page) const;
  // The newest durable entry's number. Any thread.
  std::uint64_t last() const noexcept { return last_.load(std::memory_order_acquire); }
  // Durable entries after that number, oldest first. Any thread.
  std::vector<engine::AuditRow> after(std::uint64_t sequence, std::size_t limit) const;

  // Removes rows whose entries are all older than `before` from the front, until `limit` entries have gone. Returns how many
  // went.
  std::size_t retire(engine::UnixMillis before, std::size_t limit);

 private:
  void append_row(rocksdb::WriteBatch& batch, std::string& row, std::size_t entries);  // adds the hash to it
  void append_entry(rocksdb::WriteBatch& batch, const engine::AuditNote& entry);
  void append_bundle(rocksdb::WriteBatch& batch, std::span<const engine::AuditNote> entries);
  // Of the row that begins there. Empty: retired meanwhile.
  std::vector<engine::AuditEntry> read_row(std::uint64_t sequence) const;

  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle* const documents_;
  rocksdb::ColumnFamilyHandle* const entries_;
  rocksdb::ColumnFamilyHandle* const index_;
  const engine::SecretBytes key_;
  AuditPlace durable_, pending_;
  std::string row_, summary_;           // scratch: memory that is given back is wiped
  std::atomic<std::uint64_t> last_{0};  // durable_.sequence, for other threads
};

inline constexpr std::string_view audit_start_key = "audit/start";
// What stands before the first entry that is kept. Throws engine::StoreError.
AuditPlace read_audit_start(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* documents, const engine::SecretBytes& key);
// Where the row with this key and value ends. Throws engine::StoreError.
AuditPlace read_audit_place(std::string_view key, std::string_view value);

}  // namespace watchword::storage
