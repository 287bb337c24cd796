#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "app/doctor.h"
#include "engine/types.h"
#include "storage/master_key.h"

namespace watchword::app {
namespace {

constexpr std::int64_t day_s = 86'400;
constexpr std::int64_t data_key_age_s_max = 400 * day_s;  // a rotation a year, with some days of grace
constexpr std::int64_t backup_age_s_max = 2 * day_s;      // one a day, and one may fail

Finding good(std::string check, std::string found) {
  return {.check = std::move(check), .health = Health::ok, .found = std::move(found), .advice = {}};
}
Finding bad(Health health, std::string check, std::string found, std::string advice) {
  return {.check = std::move(check), .health = health, .found = std::move(found), .advice = std::move(advice)};
}

std::string user_name(uid_t user) {
  const passwd* const entry = getpwuid(user);
  return entry != nullptr ? entry->pw_name : std::to_string(user);
}

Findings check_keys(const engine::KeysReport& keys) {
  Findings findings;
  const std::int64_t now_s = engine::wall_now().seconds();
  const engine::DataKeyReport& newest = keys.data_keys.back();
  const std::string which = fmt::format("data key {} opens, under master key {}", newest.version, keys.master_key);
  const std::int64_t age_s = now_s - newest.made_at_s;
  if (newest.made_at_s > 0 && age_s > data_key_age_s_max) {
    findings.push_back(bad(Health::warn, "keys", fmt::format("{}; it is {} days old", which, age_s / day_s),
                           "make a new one: watchword keys rotate"));
  } else {
    findings.push_back(
        good("keys", newest.made_at_s > 0 ? fmt::format("{}; it is {} days old", which, age_s / day_s) : which));
  }
  if (keys.resealing) {
    findings.push_back(bad(Health::warn, "keys", "secrets are still sealed under an older data key too",
                           "let a server run, or run: watchword keys rotate"));
  }
  if (!keys.next_master_key.empty()) {
    findings.push_back(
        bad(Health::warn, "keys",
            fmt::format("the new master key {} is not where the master key is read from", keys.next_master_key),
            "put it there and restart; until then both open the store"));
  }
  return findings;
}

}  // namespace

Findings check_data_dir(const storage::RocksStoreOptions& options) {
  const std::string& path = options.data_dir.string();
  struct stat status {};
  if (stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return {bad(Health::fail, "data directory", "there is no directory " + path, "watchword init --data-dir " + path)};
  }
  if ((status.st_mode & 077) != 0) {
    return {bad(Health::fail, "data directory", fmt::format("{} can be entered by others", path), "chmod 700 " + path)};
  }
  if (status.st_uid != geteuid()) {
    const std::string owner = user_name(status.st_uid);
    return {bad(geteuid() == 0 ? Health::warn : Health::fail, "data directory",
                fmt::format("{} belongs to {}, and this is {}", path, owner, user_name(geteuid())),
                fmt::format("run doctor as the server's own user: runuser -u {} -- watchword doctor", owner))};
  }
  return {good("data directory", fmt::format("{}, of {} alone", path, user_name(status.st_uid)))};
}

Findings check_master_key(const storage::RocksStoreOptions& options) {
  try {
    const std::optional<std::filesystem::path> file = storage::master_key_file(options);
    const std::string source = file ? file->string() : "the command " + options.master_key_command.front();
    const engine::SecretBytes key = storage::read_master_key(options);
    Findings findings{good("master key", fmt::format("{} holds {}", source, storage::fingerprint(key)))};
    struct stat status {};
    if (file && stat(file->c_str(), &status) == 0 && status.st_uid != geteuid() && status.st_uid != 0) {
      findings.push_back(bad(Health::fail, "master key", fmt::format("{} belongs to {}", source, user_name(status.st_uid)),
                             "who owns the file can read the key; give it to the server's user or to root"));
    }
    return findings;
  } catch (const storage::OpenError& fault) {
    return {
        bad(Health::fail, "master key", fault.what(),
            "see Master key in docs/operations.md; where it is a credential of the service, give it to this command too")};
  }
}

Findings check_store(const storage::RocksStoreOptions& options, const storage::Inspection& inspection) {
  using storage::StoreFound;
  switch (inspection.found) {
    case StoreFound::none:
      return {bad(Health::fail, "store", inspection.reason, "watchword init --data-dir " + options.data_dir.string())};
    case StoreFound::foreign:
      return {bad(Health::fail, "store", inspection.reason, "use the version of watchword that made it, or a newer one")};
    case StoreFound::broken:
      return {bad(Health::fail, "store", inspection.reason, "see Restore in docs/operations.md")};
    case StoreFound::in_use:
      return {good("store", fmt::format("process {} has it open; ask that for keys: watchword keys show --url URL",
                                        inspection.process))};
    case StoreFound::good:
      break;
  }
  Findings findings{good("store", fmt::format("format 1, opens; about {} people", inspection.people))};
  const std::int64_t now_s = engine::wall_now().seconds();
  if (inspection.fenced_until_s > now_s) {
    findings.push_back(bad(Health::warn, "store",
                           fmt::format("fenced for another {} s and the window: codes are refused meanwhile",
                                       inspection.fenced_until_s - now_s),
                           "wait, or see whether the clock is right"));
  }
  for (Finding& one : check_keys(inspection.keys)) findings.push_back(std::move(one));
  return findings;
}

Findings check_backup(const storage::RocksStoreOptions& options) {
  if (options.backup_dir.empty()) {
    return {bad(Health::warn, "backup", "none is configured", "set dir in the table [backup], on another disk")};
  }
  const std::string& path = options.backup_dir.string();
  struct stat data {
  }, backups{};
  Findings findings;
  if (stat(path.c_str(), &backups) != 0) {
    return {bad(Health::warn, "backup", "there is none yet in " + path, "make one: POST /v1/backups, from a timer")};
  }
  if (access(path.c_str(), W_OK) != 0) {
    findings.push_back(bad(Health::fail, "backup", path + " cannot be written", "give it to the server's user"));
  }
  if (stat(options.data_dir.c_str(), &data) == 0 && data.st_dev == backups.st_dev) {
    findings.push_back(bad(Health::warn, "backup", path + " is on the data directory's own disk",
                           "one disk that fails takes both; put the backups elsewhere"));
  }
  std::int64_t newest_s = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options.backup_dir / "meta", error)) {
    struct stat one {};
    if (stat(entry.path().c_str(), &one) == 0) newest_s = std::max<std::int64_t>(newest_s, one.st_mtime);
  }
  const std::int64_t age_s = engine::wall_now().seconds() - newest_s;
  if (newest_s == 0 || age_s > backup_age_s_max) {
    findings.push_back(
        bad(Health::warn, "backup",
            newest_s == 0 ? "there is none yet in " + path : fmt::format("the newest is {} days old", age_s / day_s),
            "make one: POST /v1/backups, from a timer"));
  } else {
    findings.push_back(good("backup", fmt::format("the newest is {} hours old", std::max<std::int64_t>(0, age_s) / 3600)));
  }
  return findings;
}

}  // namespace watchword::app
