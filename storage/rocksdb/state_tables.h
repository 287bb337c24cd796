// State rows that reach RocksDB as table files of its own format, not through its log and memtables: a row of a large fold
// then costs a third.
//
// Whoever folds writes them, sorted; RocksDB links them into its lowest level of a shard. A crash before that leaves a file
// that the next start removes.
#pragma once

#include <rocksdb/db.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "storage/rocksdb/overlay.h"

namespace watchword::storage {

class StateTables {
 public:
  using Row = std::pair<engine::CellKey, Overlay::Entry>;

  // `folder`: on the database's file system, for files under way; made, or emptied. `rows_min`: a table of fewer is not
  // worth its file, and the compaction that it brings about. Throws OpenError.
  StateTables(rocksdb::DB& db, std::filesystem::path folder, std::size_t rows_min);

  // Whether so many rows of this shard are to come through add().
  bool takes(rocksdb::ColumnFamilyHandle* family, std::size_t rows) const;
  // `rows` of one shard, none twice, by key. They are on disk when it returns. Nobody else writes to that family meanwhile.
  // Throws engine::StoreError.
  void add(rocksdb::ColumnFamilyHandle* family, std::span<const Row> rows);

 private:
  rocksdb::DB& db_;
  const std::filesystem::path folder_;
  const std::size_t rows_min_;
};

}  // namespace watchword::storage
