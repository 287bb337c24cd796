// backup and restore from the command line. They own the data directory while they run; a running server makes its backups
// at POST /v1/backups.
#include <cstdio>
#include <stdexcept>

#include <boost/json.hpp>

#include "api/admin_json.h"
#include "app/command_audit.h"
#include "app/commands.h"
#include "engine/rcu.h"
#include "storage/backup.h"
#include "storage/open.h"

namespace watchword::app {

int run_backup(const Config& config, const std::string& directory) {
  const engine::RcuThread rcu;
  storage::RocksStoreOptions options = config.store;
  options.backup_dir = directory;
  options.backup_bytes_per_s_max = 0;  // nobody else is served meanwhile
  const std::unique_ptr<engine::Store> store = storage::open_rocks_store(options);
  const auto made = store->back_up();
  if (!made) throw std::runtime_error("name a directory for the backup");
  tell_in_trail(*store, "backup.make",
                boost::json::serialize(boost::json::object{{"id", made->id}, {"bytes", made->bytes}}));
  std::fprintf(
      stderr,
      "Made and verified backup %u in %s (%llu bytes). The master key is not in it: keep a copy of that elsewhere.\n",
      made->id, directory.c_str(), static_cast<unsigned long long>(made->bytes));
  return 0;
}

int run_restore(const Config& config, const std::string& directory, std::uint32_t backup) {
  const storage::Restored restored = storage::restore_backup(directory, backup, config.store);
  {
    const engine::RcuThread rcu;
    tell_in_trail(*storage::open_rocks_store(config.store), "restore",
                  boost::json::serialize(
                      boost::json::object{{"backup", restored.backup}, {"made_at", api::utc_text(restored.made_at_s)}}));
  }
  std::fprintf(stderr,
               "Restored backup %u into %s.\n"
               "Codes from before this moment are refused: with the usual policy people sign in again after six minutes.\n"
               "Recovery codes are void and have to be made anew. Make sure that the old server does not run any more.\n"
               "Next: watchword serve --data-dir %s\n",
               restored.backup, config.store.data_dir.c_str(), config.store.data_dir.c_str());
  return 0;
}

}  // namespace watchword::app
