#include "storage/open.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/options.h>
#include <rocksdb/statistics.h>
#include <rocksdb/table.h>
#include <sys/stat.h>

#include <cstdio>

#include "storage/fence_file.h"
#include "storage/master_key.h"
#include "storage/rocksdb/io_pace.h"
#include "storage/rocksdb/key_table.h"
#include "storage/rocksdb/rocks_store.h"
#include "storage/rocksdb/table_files.h"

namespace watchword::storage {
namespace {

constexpr std::string_view format_line = "watchword 1\n";

std::filesystem::path format_file(const RocksStoreOptions& options) {
  return options.data_dir / "FORMAT";
}

std::string shard_name(const char* job, std::size_t shard) {
  char name[32];
  std::snprintf(name, sizeof name, "%s.%02zx", job, shard);
  return name;
}

// RocksDB's own log is a file in the database: on a full disk its second line ends the process.
class Warnings : public rocksdb::Logger {
 public:
  explicit Warnings(std::function<void(const std::string&)> warn)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), warn_(std::move(warn)) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (!warn_) return;
    char text[1024];
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    if (length > 0) warn_(text);
  }

 private:
  const std::function<void(const std::string&)> warn_;
};

rocksdb::DBOptions database_options(const RocksStoreOptions& options, bool create, rocksdb::Env& env,
                                    std::shared_ptr<rocksdb::EventListener> listener) {
  rocksdb::DBOptions db;
  db.env = &env;
  db.listeners.push_back(std::move(listener));
  db.create_if_missing = create;
  db.create_missing_column_families = true;  // an older store has not all of them yet
  db.error_if_exists = create;
  db.paranoid_checks = true;
  db.track_and_verify_wals_in_manifest = true;  // a log file that is gone must stop the start, not roll steps back
  // A torn end is what a crash leaves; anything else that is wrong in a log must stop the start, not drop steps in silence.
  // What a torn end is, of a log that was laid out ahead, LogFiles says.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.max_total_wal_size = options.wal_bytes_max;
  db.db_write_buffer_size = options.memtable_bytes_max;
  db.max_background_jobs = 2;
  db.max_open_files = 4000;
  db.max_bgerror_resume_count = 0;         // a failed sync is never tried again, by RocksDB neither
  db.skip_stats_update_on_db_open = true;  // start-up must not grow with the data
  db.skip_checking_sst_file_sizes_on_db_open = true;
  db.info_log = std::make_shared<Warnings>(options.warn);
  // In small pieces, so that whoever commits and the loops need not wait for many.
  db.writable_file_max_buffer_size = static_cast<std::size_t>(IoPace::piece_bytes);
  db.rate_limiter = std::make_shared<IoPace>(IoPace::unlimited_bytes_per_s);
  db.delayed_write_rate =
      16u << 20;  // RocksDB would take the limiter's rate for it, and slow nobody down before it stops all
  // Counted in memory of each core; no timers, which would read the clock at every row.
  db.statistics = rocksdb::CreateDBStatistics();
  db.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  return db;
}

// Of the values that a state row was given, the later one by the rules of the words.
class LaterCell : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice& key, const rocksdb::Slice* held, const rocksdb::Slice& value, std::string* result,
             rocksdb::Logger*) const override {
    try {
      const std::uint32_t slot = decode_cell_slot({key.data(), key.size()});
      engine::CellValue later = decode_cell_value({value.data(), value.size()});
      if (held != nullptr) later = engine::newer(slot, decode_cell_value({held->data(), held->size()}), later);
      *result = view(encode_cell_value(later));
      return true;
    } catch (const engine::StoreError&) {
      return false;  // RocksDB reports the row as corrupt
    }
  }
  const char* Name() const override { return "watchword.later-cell"; }
};

rocksdb::ColumnFamilyOptions family_options(const RocksStoreOptions& options, const std::shared_ptr<rocksdb::Cache>& cache,
                                            bool rows) {
  rocksdb::ColumnFamilyOptions family;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 * 1024;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (rows) table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  family.write_buffer_size = options.memtable_bytes_max / 2;
  family.arena_block_size = 128 * 1024;  // there are 36 families
  family.compression = rocksdb::kLZ4Compression;
  return family;
}

// Each large fold leaves a table in level 0, and merging those into the rest costs as much as the rest is large, so it is
// done for many at once: who is loaded looks into more of them, and their filters say no. Not in all shards after the same
// fold. Writers need not wait for it. And a table goes as low as nothing lies there yet, so with more levels each of the
// first would get one, all of the same rows.
void state_options(rocksdb::ColumnFamilyOptions& family, std::size_t shard) {
  family.merge_operator = std::make_shared<LaterCell>();
  family.num_levels = 3;
  family.level0_file_num_compaction_trigger = static_cast<int>(6 + shard % 8);
  family.level0_slowdown_writes_trigger = 40;
  family.level0_stop_writes_trigger = 60;
}

}  // namespace

std::filesystem::path database_dir(const RocksStoreOptions& options) {
  return options.data_dir / "db";
}

void make_private_directory(const std::filesystem::path& path) {
  std::error_code fault;
  std::filesystem::create_directories(path, fault);
  if (fault) throw OpenError("cannot make the directory " + path.string() + ": " + fault.message());
  if (chmod(path.c_str(), 0700) != 0) throw OpenError("cannot set the permissions of " + path.string());
}

void finish_data_dir(const RocksStoreOptions& options) {
  write_file_durably(format_file(options), format_line);
}

Database::~Database() {
  if (!db) return;
  for (rocksdb::ColumnFamilyHandle* family : all) db->DestroyColumnFamilyHandle(family);
  db->Close();
}

bool known_format(std::string_view format_file_content) {
  return format_file_content == format_line;
}

namespace {

using Opener =
    std::function<rocksdb::Status(rocksdb::Env& env, const std::shared_ptr<rocksdb::EventListener>& listener,
                                  const std::string& path, const std::vector<rocksdb::ColumnFamilyDescriptor>& families,
                                  std::vector<rocksdb::ColumnFamilyHandle*>* handles, rocksdb::DB** opened)>;

// `looks`: changes nothing.
Database open_with(const RocksStoreOptions& options, bool looks, const Opener& open) {
  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options(options, cache, true));
  families.emplace_back("journal", family_options(options, cache, false));
  for (std::size_t i = 0; i < shard_count; ++i) {
    families.emplace_back(shard_name("registrations", i), family_options(options, cache, true));
  }
  for (std::size_t i = 0; i < shard_count; ++i) {
    families.emplace_back(shard_name("state", i), family_options(options, cache, true));
    state_options(families.back().options, i);
  }
  families.emplace_back("audit", family_options(options, cache, true));
  families.emplace_back("audit.index", family_options(options, cache, false));
  Database database;
  database.logs->tell_of_cuts([warn = options.warn, data_dir = options.data_dir, looks](const LogFiles::Cut& cut) {
    if (warn) warn(cut.text);
    // What was accepted last may be lost: nothing of that time is accepted again.
    if (cut.doubtful && !looks) raise_fence(data_dir, engine::wall_now());
  });
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status =
      open(*database.env, database.background, database_dir(options).string(), families, &database.all, &opened);
  if (!status.ok()) {
    throw OpenError(
        "the store in " + options.data_dir.string() + " does not open: " + status.ToString() +
        (status.IsCorruption() ? ". A backup goes into a new directory: watchword restore BACKUPS --data-dir NEW" : ""));
  }
  database.db.reset(opened);
  database.documents = database.all[0];
  database.journal = database.all[1];
  for (std::size_t i = 0; i < shard_count; ++i) {
    database.registrations[i] = database.all[2 + i];
    database.state[i] = database.all[2 + shard_count + i];
  }
  database.audit = database.all[2 + 2 * shard_count];
  database.audit_index = database.all[3 + 2 * shard_count];
  return database;
}

}  // namespace

Database open_database(const RocksStoreOptions& options, bool create) {
  return open_with(
      options, false,
      [&](rocksdb::Env& env, const auto& listener, const auto& path, const auto& families, auto* handles, auto** opened) {
        return rocksdb::DB::Open(database_options(options, create, env, listener), path, families, handles, opened);
      });
}

Database open_database_to_look(const RocksStoreOptions& options) {
  return open_with(
      options, true,
      [&](rocksdb::Env& env, const auto& listener, const auto& path, const auto& families, auto* handles, auto** opened) {
        return rocksdb::DB::OpenForReadOnly(database_options(options, false, env, listener), path, families, handles,
                                            opened);
      });
}

void init_data_dir(const RocksStoreOptions& options) {
  make_private_directory(options.data_dir);
  const DirectoryLock lock(options.data_dir);
  if (read_file(format_file(options))) {
    throw OpenError("there is a store in " + options.data_dir.string() + " already; nothing was changed");
  }
  ensure_master_key(options);
  // Without FORMAT an earlier init did not come to its end, and nothing in there was ever used.
  std::filesystem::remove_all(database_dir(options));
  make_private_directory(database_dir(options));
  const KeyRows keys = make_key_rows(read_master_key(options), engine::wall_now().seconds());
  Database database = open_database(options, true);
  rocksdb::WriteBatch batch;
  for (const auto& [name, row] : keys) batch.Put(database.documents, std::string(key_rows_prefix) + name, row);
  rocksdb::WriteOptions durable;
  durable.sync = true;
  const rocksdb::Status status = database.db->Write(durable, &batch);
  if (!status.ok()) throw OpenError("cannot write the new store: " + status.ToString());
  finish_data_dir(options);
}

OpenedDatabase open_existing(const RocksStoreOptions& options) {
  std::error_code fault;
  if (!std::filesystem::exists(format_file(options), fault)) {
    if (fault == std::errc::permission_denied) {
      throw OpenError("this user may not look into " + options.data_dir.string() + "; run this as the one it belongs to");
    }
    throw OpenError("there is no store in " + options.data_dir.string() + "; run: watchword init --data-dir " +
                    options.data_dir.string());
  }
  auto lock = std::make_unique<DirectoryLock>(options.data_dir);
  const std::string format = read_file(format_file(options)).value_or("");
  if (!known_format(format)) {
    throw OpenError("the store in " + options.data_dir.string() + " has the format \"" +
                    format.substr(0, format.find('\n')) +
                    "\", which this version does not know; it knows \"watchword 1\". Nothing was changed");
  }
  const engine::SecretBytes master_key = read_master_key(options);
  Database database = open_database(options, false);
  KeyRing keys = open_key_table(database, master_key);
  return {.lock = std::move(lock),
          .database = std::move(database),
          .keys = std::move(keys),
          .master_key_fingerprint = fingerprint(master_key)};
}

std::unique_ptr<engine::Store> open_rocks_store(const RocksStoreOptions& options) {
  OpenedDatabase opened = open_existing(options);
  return std::make_unique<RocksStore>(std::move(opened), options);
}

}  // namespace watchword::storage
