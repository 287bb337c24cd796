// Opening and making the embedded store, without dragging RocksDB into anybody's sources.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/store.h"

namespace watchword::storage {

// Something a person must mend: says what and how in what().
class OpenError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct RocksStoreOptions {
  std::filesystem::path data_dir;
  std::filesystem::path master_key_file;        // empty: the systemd credential master.key, else data_dir / "master.key"
  std::vector<std::string> master_key_command;  // program and arguments that say the key instead; empty: none
  // Below this free space on the disk nothing is written: 503 until there is room again. As much as RocksDB may still have
  // to write by itself then: its memtables and the log.
  std::uint64_t free_bytes_min = 256ull << 20;
  std::size_t memtable_bytes_max = 128u << 20;  // all column families together
  std::size_t block_cache_bytes = 256u << 20;
  std::uint64_t wal_bytes_max = 128ull << 20;
  std::size_t unfolded_cells_max = 500000;   // journal cells that start a fold
  std::uint32_t fold_interval_ms = 10000;    // and the age that does
  std::size_t table_rows_min = 2048;         // of a shard in a fold, that get a table file of their own
  std::uint32_t audit_retention_days = 400;  // 0: entries of the audit trail are kept for ever
  std::filesystem::path backup_dir;          // where Store::back_up() goes; empty: nowhere
  std::uint32_t backups_kept = 7;
  std::uint64_t backup_bytes_per_s_max = 64ull << 20;  // so that verification keeps its share of the disk; 0: no limit
  std::uint32_t reseal_rows_per_s_max = 10000;         // users a second that are sealed anew after a rotation; 0: no limit
  std::function<void(const std::string&)> warn;        // what RocksDB has to say, for the log; any thread. None: dropped
};

// Makes the directory (0700), the master key file (0600, unless it exists or a command says the key), the keys and an empty
// store. OpenError if there is one already.
void init_data_dir(const RocksStoreOptions& options);

// Opens for this process alone. OpenError: no store there, another process has it (names its pid), unknown format version,
// master key missing, wrong or readable by others.
std::unique_ptr<engine::Store> open_rocks_store(const RocksStoreOptions& options);

}  // namespace watchword::storage
