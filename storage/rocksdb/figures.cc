// What the embedded store says about itself to whoever watches.
#include <rocksdb/statistics.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <map>

#include "storage/master_key.h"
#include "storage/rocksdb/rocks_store.h"

namespace watchword::storage {
namespace {

using engine::StoreFigure;

struct Ticker {
  rocksdb::Tickers ticker;
  const char* name;
  const char* help;
  double unit = 1;  // of what RocksDB counts, in the metric's
};

constexpr Ticker tickers[] = {
    {rocksdb::WAL_FILE_SYNCED, "watchword_rocksdb_wal_syncs_total", "Syncs of RocksDB's log."},
    {rocksdb::WAL_FILE_BYTES, "watchword_rocksdb_wal_bytes_total", "Bytes written to RocksDB's log."},
    {rocksdb::BYTES_WRITTEN, "watchword_rocksdb_written_bytes_total", "Uncompressed bytes written to RocksDB."},
    {rocksdb::BYTES_READ, "watchword_rocksdb_read_bytes_total", "Uncompressed bytes read from RocksDB by key."},
    {rocksdb::NUMBER_KEYS_WRITTEN, "watchword_rocksdb_keys_written_total", "Rows written to RocksDB."},
    {rocksdb::NUMBER_KEYS_READ, "watchword_rocksdb_keys_read_total", "Rows looked for in RocksDB."},
    {rocksdb::BLOCK_CACHE_HIT, "watchword_rocksdb_block_cache_hits_total", "Blocks found in RocksDB's cache."},
    {rocksdb::BLOCK_CACHE_MISS, "watchword_rocksdb_block_cache_misses_total", "Blocks not found in RocksDB's cache."},
    {rocksdb::BLOOM_FILTER_USEFUL, "watchword_rocksdb_bloom_filter_useful_total",
     "Table look-ups that a Bloom filter saved."},
    {rocksdb::MEMTABLE_HIT, "watchword_rocksdb_memtable_hits_total", "Rows found in a memtable."},
    {rocksdb::MEMTABLE_MISS, "watchword_rocksdb_memtable_misses_total", "Rows not found in a memtable."},
    {rocksdb::COMPACT_READ_BYTES, "watchword_rocksdb_compaction_read_bytes_total", "Bytes read by compactions."},
    {rocksdb::COMPACT_WRITE_BYTES, "watchword_rocksdb_compaction_written_bytes_total", "Bytes written by compactions."},
    {rocksdb::FLUSH_WRITE_BYTES, "watchword_rocksdb_flush_written_bytes_total", "Bytes written by flushes of memtables."},
    {rocksdb::STALL_MICROS, "watchword_rocksdb_stall_seconds_total", "Time that writes were held up by RocksDB.", 1e-6},
    {rocksdb::NO_FILE_ERRORS, "watchword_rocksdb_file_errors_total", "Files that RocksDB could not open."},
};

struct Property {
  const char* property;
  const char* name;
  const char* help;
};

// Summed over all column families.
constexpr Property properties[] = {
    {"rocksdb.cur-size-all-mem-tables", "watchword_rocksdb_memtable_bytes", "Memory of RocksDB's memtables."},
    {"rocksdb.live-sst-files-size", "watchword_rocksdb_table_bytes", "Bytes of RocksDB's live table files."},
    {"rocksdb.estimate-table-readers-mem", "watchword_rocksdb_table_reader_bytes",
     "Memory of RocksDB's table readers outside its cache."},
    {"rocksdb.estimate-pending-compaction-bytes", "watchword_rocksdb_compaction_pending_bytes",
     "Bytes that compactions have yet to rewrite, estimated."},
};

// Of the database as a whole.
constexpr Property shared_properties[] = {
    {"rocksdb.block-cache-usage", "watchword_rocksdb_block_cache_bytes", "Memory of RocksDB's cache in use."},
    {"rocksdb.num-running-compactions", "watchword_rocksdb_compactions_running", "Compactions that run now."},
    {"rocksdb.num-running-flushes", "watchword_rocksdb_flushes_running", "Flushes of memtables that run now."},
    {"rocksdb.is-write-stopped", "watchword_rocksdb_write_stopped", "Whether RocksDB holds up all writes now."},
    {"rocksdb.background-errors", "watchword_rocksdb_background_errors", "Errors of RocksDB's background work."},
};

StoreFigure gauge(const char* name, const char* help, double value) {
  return {.name = name, .help = help, .label = {}, .label_value = {}, .value = value};
}
StoreFigure counter(const char* name, const char* help, double value) {
  return {.name = name, .help = help, .counts = true, .label = {}, .label_value = {}, .value = value};
}

void add_rocksdb(const Database& database, std::vector<StoreFigure>& figures) {
  rocksdb::DB& db = *database.db;
  if (const auto statistics = db.GetDBOptions().statistics) {
    for (const Ticker& one : tickers) {
      figures.push_back(counter(one.name, one.help, static_cast<double>(statistics->getTickerCount(one.ticker)) * one.unit));
    }
  }
  for (const Property& one : properties) {
    std::uint64_t value = 0;
    if (db.GetAggregatedIntProperty(one.property, &value)) {
      figures.push_back(gauge(one.name, one.help, static_cast<double>(value)));
    }
  }
  for (const Property& one : shared_properties) {
    std::uint64_t value = 0;
    if (db.GetIntProperty(one.property, &value)) {
      figures.push_back(gauge(one.name, one.help, static_cast<double>(value)));
    }
  }
  for (int level = 0; level < db.NumberLevels(); ++level) {
    double files = 0;
    for (rocksdb::ColumnFamilyHandle* const family : database.all) {
      std::string text;
      if (db.GetProperty(family, "rocksdb.num-files-at-level" + std::to_string(level), &text)) files += std::stod(text);
    }
    figures.push_back({.name = "watchword_rocksdb_files",
                       .help = "Table files by level, of all column families.",
                       .label = "level",
                       .label_value = std::to_string(level),
                       .value = files});
  }
}

void add_keys(const RocksStoreOptions& options, const engine::KeysReport& keys, std::vector<StoreFigure>& figures) {
  const auto made = [&figures](const char* key, std::int64_t at_s) {
    figures.push_back({.name = "watchword_key_created_timestamp_seconds",
                       .help = "When a key was made, seconds since 1970; of the master key, its file's time.",
                       .label = "key",
                       .label_value = key,
                       .value = static_cast<double>(at_s)});
  };
  struct stat status {};
  const std::optional<std::filesystem::path> file = master_key_file(options);
  if (file && stat(file->c_str(), &status) == 0) made("master", status.st_mtim.tv_sec);
  if (!keys.data_keys.empty() && keys.data_keys.back().made_at_s > 0) made("data", keys.data_keys.back().made_at_s);
  figures.push_back(gauge("watchword_data_keys", "Data keys in the store; more than one while secrets are sealed anew.",
                          static_cast<double>(keys.data_keys.size())));
  figures.push_back(gauge("watchword_reseal_users", "Users whose secrets the present or last rotation has sealed anew.",
                          static_cast<double>(keys.rows_done)));
}

}  // namespace

std::vector<engine::StoreFigure> RocksStore::figures() const {
  std::vector<StoreFigure> figures;
  std::size_t cells = 0;
  std::int64_t since_ms = 0;
  {
    const std::lock_guard lock(overlay_mutex_);
    cells = fresh_.cells.size() + folding_.cells.size();
    since_ms = folding_since_ms_ != 0 ? folding_since_ms_ : fresh_since_ms_;
  }
  figures.push_back(gauge("watchword_journal_lag_cells", "Words in the journal that are not in the state rows yet.",
                          static_cast<double>(cells)));
  figures.push_back(gauge("watchword_journal_lag_seconds",
                          "Age of the oldest word in the journal that is in no state row yet.",
                          since_ms == 0 ? 0 : static_cast<double>(steady_ms() - since_ms) * 1e-3));
  figures.push_back(counter("watchword_journal_folds_total", "Folds of the journal into the state rows.",
                            static_cast<double>(folds_.load(std::memory_order_relaxed))));
  figures.push_back(counter("watchword_journal_fold_seconds_total", "Time spent in folds.",
                            static_cast<double>(fold_ns_.load(std::memory_order_relaxed)) * 1e-9));
  figures.push_back(gauge("watchword_store_writable", "Whether the store takes writes.", writable() ? 1 : 0));
  figures.push_back(gauge("watchword_store_needs_restart",
                          "Whether a write failed, so that the store takes none until the server is started again.",
                          failed_ ? 1 : 0));
  struct statvfs disk {};
  if (statvfs(options_.data_dir.c_str(), &disk) == 0) {
    figures.push_back(gauge("watchword_disk_free_bytes", "Free space on the data directory's disk.",
                            static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize)));
    figures.push_back(gauge("watchword_disk_bytes", "Size of the data directory's disk.",
                            static_cast<double>(disk.f_blocks) * static_cast<double>(disk.f_frsize)));
  }
  figures.push_back(gauge("watchword_disk_free_bytes_min", "Free space below which nothing is written.",
                          static_cast<double>(options_.free_bytes_min)));
  add_keys(options_, keys(), figures);
  add_rocksdb(database_, figures);
  return figures;
}

}  // namespace watchword::storage
