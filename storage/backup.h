// Restoring what Store::back_up() made. A backup holds the database with its sealed keys, never the master key.
#pragma once

#include <cstdint>
#include <filesystem>

#include "storage/open.h"

namespace watchword::storage {

struct Restored {
  std::uint32_t backup = 0;
  std::int64_t made_at_s = 0;
  std::int64_t fenced_until_s = 0;
};

// Into options.data_dir, which holds no store yet; its master key may be there already, or options.master_key_file names it.
// `backup` 0: the newest. Every file's checksum is compared before anything is written. The store is fenced from now on, and
// recovery codes are void: which of them were used since the backup is not known. OpenError: what is wrong and what to do;
// then there is no store in the directory.
Restored restore_backup(const std::filesystem::path& backup_dir, std::uint32_t backup, const RocksStoreOptions& options);

}  // namespace watchword::storage
