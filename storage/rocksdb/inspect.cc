#include "storage/inspect.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>

#include "storage/fence_file.h"
#include "storage/files.h"
#include "storage/master_key.h"
#include "storage/rocksdb/key_table.h"

namespace watchword::storage {
namespace {

// Tried without making the lock's file or writing into it, and let go at once: who starts now is not held up.
bool locked(const std::filesystem::path& file) {
  const int number = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (number < 0) return false;
  const bool free = flock(number, LOCK_SH | LOCK_NB) == 0;
  close(number);
  return !free;
}

std::int64_t owner_of(const std::filesystem::path& file) {
  const std::string text = read_file(file).value_or("");
  std::int64_t process = 0;
  std::from_chars(text.data(), text.data() + text.size(), process);
  return process;
}

Inspection looked_into(const RocksStoreOptions& options) {
  Inspection inspection{.found = StoreFound::good};
  const engine::SecretBytes master_key = read_master_key(options);
  const Database database = open_database_to_look(options);
  const KeyRows rows = read_key_rows(database, key_rows_prefix);
  const KeyRows next = read_key_rows(database, new_key_rows_prefix);
  const KeyRing keys = open_keys(master_key, !opens(master_key, rows) && opens(master_key, next) ? next : rows);
  inspection.keys.master_key = fingerprint(master_key);
  inspection.keys.next_master_key = pending_master_key(database);
  inspection.keys.data_keys = data_keys_of(rows);
  inspection.keys.resealing = inspection.keys.data_keys.size() > 1;
  for (rocksdb::ColumnFamilyHandle* const family : database.registrations) {
    std::uint64_t some = 0;
    if (database.db->GetIntProperty(family, "rocksdb.estimate-num-keys", &some)) inspection.people += some;
  }
  inspection.fenced_until_s = read_fence(options.data_dir).seconds();
  return inspection;
}

}  // namespace

Inspection inspect(const RocksStoreOptions& options) {
  const auto found = [](StoreFound what, std::string reason) {
    return Inspection{.found = what, .reason = std::move(reason)};
  };
  try {
    const std::optional<std::string> format = read_file(options.data_dir / "FORMAT");
    if (!format) return found(StoreFound::none, "there is no store in " + options.data_dir.string());
    if (!known_format(*format)) {
      return found(StoreFound::foreign,
                   "the store has a format that this version does not know: " + format->substr(0, format->find('\n')));
    }
    const std::filesystem::path lock_file = options.data_dir / "watchword.lock";
    if (locked(lock_file)) {
      Inspection used = found(StoreFound::in_use, "another process has it open");
      used.process = owner_of(lock_file);
      return used;
    }
    return looked_into(options);
  } catch (const std::exception& fault) {
    return found(StoreFound::broken, fault.what());
  }
}

}  // namespace watchword::storage
