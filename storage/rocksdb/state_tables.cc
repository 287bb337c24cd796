#include "storage/rocksdb/state_tables.h"

#include <rocksdb/sst_file_writer.h>

#include "engine/thread_rank.h"
#include "storage/rocksdb/format.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {
namespace {

// Some 10 us of work; give_way() reads a clock.
constexpr std::size_t rows_between_looks = 32;

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
  std::error_code fault;
  std::filesystem::remove_all(folder_, fault);
  if (fault) throw OpenError("cannot remove " + folder_.string() + ": " + fault.message());
  make_private_directory(folder_);
}

std::string StateTables::path_of(rocksdb::ColumnFamilyHandle* family) const {
  return (folder_ / (family->GetName() + ".sst")).string();
}

void StateTables::write(rocksdb::ColumnFamilyHandle* family, std::span<const Row> rows) const {
  const rocksdb::Options options = db_.GetOptions(family);
  rocksdb::SstFileWriter table(rocksdb::EnvOptions(options), options, family, /*invalidate_page_cache=*/false);
  throw_unless(table.Open(path_of(family)));
  std::size_t until_look = rows_between_looks;
  for (const auto& [key, entry] : rows) {
    if (--until_look == 0) {
      engine::give_way_often();
      until_look = rows_between_looks;
    }
    const CellRowKey row = encode_cell_key(key);
    // Not a put: there may be a later value already, from a thread that was quicker to queue it.
    throw_unless(entry.erased ? table.Delete(slice(row)) : table.Merge(slice(row), slice(encode_cell_value(entry.value))));
  }
  throw_unless(table.Finish());
}

void StateTables::link(rocksdb::ColumnFamilyHandle* family) {
  // RocksDB would do it with all writers stopped.
  if (property(db_, family, rocksdb::DB::Properties::kNumEntriesActiveMemTable) > 0 ||
      property(db_, family, rocksdb::DB::Properties::kNumEntriesImmMemTables) > 0) {
    throw_unless(db_.Flush({}, family));
  }
  rocksdb::IngestExternalFileOptions linked;
  linked.move_files = true;
  linked.failed_move_fall_back_to_copy = false;
  linked.write_global_seqno = false;  // it would be written into the file, which is synced
  linked.verify_file_checksum = false;
  throw_unless(db_.IngestExternalFile(family, {path_of(family)}, linked));
}

}  // namespace watchword::storage
