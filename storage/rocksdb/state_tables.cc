#include "storage/rocksdb/state_tables.h"

#include <rocksdb/sst_file_writer.h>

#include <limits>

#include "storage/rocksdb/format.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {
namespace {

constexpr std::size_t rows_between_pauses = 32;  // some 10 us of work

void throw_unless(const rocksdb::Status& status) {
  if (!status.ok()) throw engine::StoreError("a table of state rows cannot be written: " + status.ToString());
}

rocksdb::Slice slice(const auto& bytes) {
  return {bytes.data(), bytes.size()};
}

std::uint64_t property(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const std::string& name) {
  std::uint64_t value = 0;
  if (!db.GetIntProperty(family, name, &value)) throw engine::StoreError("RocksDB does not tell " + name);
  return value;
}

}  // namespace

StateTables::StateTables(rocksdb::DB& db, std::filesystem::path folder, std::size_t rows_min)
    : db_(db), folder_(std::move(folder)), rows_min_(rows_min) {
  make_private_directory(folder_);
  std::error_code fault;
  std::filesystem::directory_iterator left(folder_, fault);
  for (; !fault && left != std::filesystem::directory_iterator(); left.increment(fault)) {
    std::filesystem::remove_all(left->path(), fault);
    if (fault) break;
  }
  if (fault) throw OpenError("cannot empty " + folder_.string() + ": " + fault.message());
}

std::string StateTables::path_of(rocksdb::ColumnFamilyHandle* family) const {
  return (folder_ / (family->GetName() + ".sst")).string();
}

void StateTables::write(rocksdb::ColumnFamilyHandle* family, std::span<const Row> rows,
                        const std::function<void()>& pause) const {
  // No cell has these keys. With them each table has all of the others' keys between its own, so that it goes to level 0, or
  // into an empty family: RocksDB (7.8) may begin a compaction into a lower level while it puts the table there.
  const CellRowKey first = encode_cell_key({{0}, 0});
  const CellRowKey last = encode_cell_key({{std::numeric_limits<std::uint64_t>::max()},  //
                                           std::numeric_limits<std::uint32_t>::max()});
  const rocksdb::Options options = db_.GetOptions(family);
  rocksdb::SstFileWriter table(rocksdb::EnvOptions(options), options, family, /*invalidate_page_cache=*/false);
  const std::string path = path_of(family);
  // The other name of a table in use, if it could not be removed the last time: it would be written anew.
  if (std::error_code fault; std::filesystem::exists(path, fault)) throw_unless(db_.GetEnv()->DeleteFile(path));
  try {
    throw_unless(table.Open(path));
    throw_unless(table.Delete(slice(first)));
    std::size_t until_pause = rows_between_pauses;
    for (const auto& [key, entry] : rows) {
      if (--until_pause == 0) {
        pause();
        until_pause = rows_between_pauses;
      }
      const CellRowKey row = encode_cell_key(key);
      // Not a put: there may be a later value already, from a thread that was quicker to queue it.
      throw_unless(entry.erased ? table.Delete(slice(row)) : table.Merge(slice(row), slice(encode_cell_value(entry.value))));
    }
    throw_unless(table.Delete(slice(last)));
    throw_unless(table.Finish());
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
    throw;
  }
}

void StateTables::link(rocksdb::ColumnFamilyHandle* family) {
  // RocksDB would do it with all writers stopped.
  if (property(db_, family, rocksdb::DB::Properties::kNumEntriesActiveMemTable) > 0 ||
      property(db_, family, rocksdb::DB::Properties::kNumEntriesImmMemTables) > 0) {
    rocksdb::FlushOptions flush;
    flush.allow_write_stall = true;  // it would wait for compactions otherwise
    throw_unless(db_.Flush(flush, family));
  }
  rocksdb::IngestExternalFileOptions linked;
  linked.move_files = true;
  linked.failed_move_fall_back_to_copy = true;
  linked.write_global_seqno = false;  // it would be written into the file, which is synced
  linked.verify_file_checksum = false;
  throw_unless(db_.IngestExternalFile(family, {path_of(family)}, linked));
}

}  // namespace watchword::storage
