// What `watchword doctor` looks at. Each check says what it found and, unless all is well, what to do about it.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "storage/inspect.h"

namespace watchword::app {

enum class Health : std::uint8_t { ok, warn, fail };

struct Finding {
  std::string check;  // "clock"
  Health health = Health::ok;
  std::string found;
  std::string advice;  // empty where all is well
};
using Findings = std::vector<Finding>;

// doctor_data.cc
Findings check_data_dir(const storage::RocksStoreOptions& options);
Findings check_master_key(const storage::RocksStoreOptions& options);
Findings check_store(const storage::RocksStoreOptions& options, const storage::Inspection& inspection);
Findings check_backup(const storage::RocksStoreOptions& options);

// doctor_machine.cc
Findings check_clock(const storage::RocksStoreOptions& options);
// Writes and syncs a small file in the data directory, and removes it.
Findings check_disk(const storage::RocksStoreOptions& options);
// `process`: the server whose limits count; 0: our own, which one that is started from here would have.
Findings check_limits(const Config& config, std::int64_t process);
Findings check_certificates(const Config& config);

}  // namespace watchword::app
