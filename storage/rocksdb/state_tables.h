// State rows that reach RocksDB as table files of its own format, not through its log and memtables: a row of a large fold
// then costs a third.
//
// Whoever folds writes them, sorted; RocksDB links them into the shard's column family. A crash before that leaves a file
// that the next start removes.
#pragma once

#include <rocksdb/db.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "storage/rocksdb/overlay.h"

namespace watchword::storage {

class StateTables {
 public:
  using Row = std::pair<engine::CellKey, Overlay::Entry>;

  // `folder`: on the database's file system, for files under way; made, or emptied. `rows_min`: a table of fewer is not
  // worth its file, and the compaction that it brings about. Throws OpenError.
  StateTables(rocksdb::DB& db, std::filesystem::path folder, std::size_t rows_min);

  // Whether so many rows of a shard are to come as a table.
  bool takes(std::size_t rows) const { return rows > 0 && rows >= rows_min_; }
  // Writes the next table of that family. `rows`: of one shard, none twice, by key. Takes no lock of the database; calls
  // `pause` every now and then. Throws engine::StoreError: nothing has changed then.
  void write(rocksdb::ColumnFamilyHandle* family, std::span<const Row> rows, const std::function<void()>& pause) const;
  // Makes it part of the family: its rows are there, and on disk. Other writers wait for a moment of this; nobody else
  // writes to that family meanwhile. Throws engine::StoreError.
  void link(rocksdb::ColumnFamilyHandle* family);

 private:
  std::string path_of(rocksdb::ColumnFamilyHandle* family) const;

  rocksdb::DB& db_;
  const std::filesystem::path folder_;
  const std::size_t rows_min_;
};

}  // namespace watchword::storage
