#include "storage/backup.h"

#include <rocksdb/env.h>
#include <rocksdb/utilities/backup_engine.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "storage/fence_file.h"
#include "storage/master_key.h"
#include "storage/rocksdb/io_pace.h"
#include "storage/rocksdb/key_table.h"
#include "storage/rocksdb/rocks_store.h"
#include "storage/rocksdb/small_reads.h"

namespace watchword::storage {
namespace {

constexpr std::string_view backup_format = "watchword 1";
constexpr std::string_view recovery_codes_prefix = "doc/recovery/";

rocksdb::BackupEngineOptions engine_options(const std::filesystem::path& directory) {
  rocksdb::BackupEngineOptions options(directory.string());
  options.share_table_files = true;  // a table file that an earlier backup has is not copied again
  options.sync = true;
  return options;
}

void throw_unless_done(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) throw engine::StoreError(std::string(what) + ": " + status.ToString());
}

void refuse_unless(const rocksdb::Status& status, const std::string& what) {
  if (!status.ok()) throw OpenError(what + ": " + status.ToString());
}

// Nothing may be in the way but what an earlier restore that did not end left, and the master key.
void check_target(const RocksStoreOptions& options) {
  const std::filesystem::path& target = options.data_dir;
  std::error_code fault;
  const std::filesystem::file_type there = std::filesystem::status(target, fault).type();
  if (there == std::filesystem::file_type::not_found) return;
  std::filesystem::directory_iterator entries(target, fault);
  if (fault) {
    throw OpenError("cannot restore into " + target.string() + ": " + fault.message() +
                    "; name a directory that is not there yet");
  }
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name == "master.key" || name == "watchword.lock" || name == "db" || name == "FENCE") continue;
    throw OpenError(target.string() + " is not empty (" + name + "); restore into a new directory. Nothing was changed");
  }
}

// A backup holds sealed secrets and everybody's names, so its directory is its owner's alone. One that holds other things is
// left as it is: whoever names /tmp by mistake does not shut everybody out of it.
void prepare_backup_dir(const std::filesystem::path& directory) {
  const auto refuse = [&directory](const std::string& reason) {
    throw engine::StoreError("cannot use the backup directory " + directory.string() + ": " + reason);
  };
  static constexpr std::array<std::string_view, 5> ours{"meta", "private", "shared", "shared_checksum", "lost+found"};
  std::error_code fault;
  std::filesystem::create_directories(directory, fault);
  if (fault) refuse(fault.message());
  std::filesystem::directory_iterator entries(directory, fault);
  if (fault) refuse(fault.message());
  for (const auto& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (std::find(ours.begin(), ours.end(), name) != ours.end()) continue;
    refuse("it holds other things (" + name + "); name one that is for backups alone");
  }
  if (chmod(directory.c_str(), 0700) != 0) refuse(std::error_code(errno, std::generic_category()).message());
}

// The key is in no backup.
engine::SecretBytes master_key_for_restore(const RocksStoreOptions& options) {
  const std::optional<std::filesystem::path> file = master_key_file(options);
  std::error_code fault;
  if (file && !std::filesystem::exists(*file, fault) && !fault) {
    throw OpenError("put the master key of the backup's day, which is in no backup, at " + file->string() +
                    " (0600, in a directory of 0700) and run this again");
  }
  return read_master_key(options);
}

// Which recovery codes were used since the backup is unknown, so none of them may be.
void void_recovery_codes(Database& database) {
  rocksdb::WriteBatch batch;
  std::string end(recovery_codes_prefix);
  ++end.back();
  batch.DeleteRange(database.documents, rocksdb::Slice(recovery_codes_prefix.data(), recovery_codes_prefix.size()), end);
  rocksdb::WriteOptions durable;
  durable.sync = true;
  refuse_unless(database.db->Write(durable, &batch), "cannot write the restored store");
}

std::int64_t pace_of(std::uint64_t bytes_per_s_max) {
  return bytes_per_s_max > 0 ? static_cast<std::int64_t>(bytes_per_s_max) : IoPace::unlimited_bytes_per_s;
}

}  // namespace

struct RunningBackup {
  std::shared_ptr<IoPace> pace;
  std::unique_ptr<rocksdb::Env> env;              // which the engine uses
  std::unique_ptr<rocksdb::BackupEngine> engine;  // once it is open
};

void RocksStore::stop_backups() noexcept {
  const std::lock_guard lock(running_backup_mutex_);
  backups_stopped_ = true;
  if (running_backup_ == nullptr) return;
  running_backup_->pace->SetBytesPerSecond(pace_of(0));  // a stop is noticed after some megabytes more
  if (running_backup_->engine) running_backup_->engine->StopBackup();
}

// False: backups are being stopped.
bool RocksStore::pace_backup(RunningBackup& run, std::int64_t bytes_per_s) {
  const std::lock_guard lock(running_backup_mutex_);
  if (!backups_stopped_) run.pace->SetBytesPerSecond(bytes_per_s);
  return !backups_stopped_;
}

tl::expected<engine::BackupReport, engine::BackupRefusal> RocksStore::back_up() {
  if (options_.backup_dir.empty()) return tl::unexpected(engine::BackupRefusal::not_configured);
  const std::unique_lock running(backup_mutex_, std::try_to_lock);
  if (!running) return tl::unexpected(engine::BackupRefusal::running);
  if (failed_) throw engine::StoreError("the store needs a restart before it can be backed up");
  prepare_backup_dir(options_.backup_dir);
  const std::int64_t pace = pace_of(options_.backup_bytes_per_s_max);
  RunningBackup run{.pace = std::make_shared<IoPace>(pace),
                    .env = rocksdb::NewCompositeEnv(std::make_shared<SmallReads>()),
                    .engine = nullptr};
  {
    const std::lock_guard lock(running_backup_mutex_);
    running_backup_ = &run;
  }
  const auto forget = [this](RunningBackup*) {
    const std::lock_guard lock(running_backup_mutex_);
    running_backup_ = nullptr;
  };
  const std::unique_ptr<RunningBackup, decltype(forget)> registered(&run, forget);
  return back_up(run, pace);
}

tl::expected<engine::BackupReport, engine::BackupRefusal> RocksStore::back_up(RunningBackup& run, std::int64_t pace) {
  rocksdb::BackupEngineOptions options = engine_options(options_.backup_dir);
  options.backup_rate_limiter = run.pace;
  options.backup_env = run.env.get();
  rocksdb::BackupEngine* opened = nullptr;
  throw_unless_done(rocksdb::BackupEngine::Open(rocksdb::Env::Default(), options, &opened), "cannot open the backups");
  {
    const std::lock_guard lock(running_backup_mutex_);
    run.engine.reset(opened);
  }
  // What is copied counts twice: it is read and it is written.
  if (!pace_backup(run, 2 * pace)) return tl::unexpected(engine::BackupRefusal::stopped);
  // RocksDB notes which tables there are, and later how far the log has come: a fold that is linked in between, and ends in
  // the log, would be in neither. So the one under way is waited for, and those that come are in the log.
  const auto tables = [this](bool put_off) {
    const std::lock_guard lock(tables_mutex_);
    tables_put_off_ = put_off;
  };
  rocksdb::CreateBackupOptions create;
  create.flush_before_backup = true;
  engine::BackupReport report;
  tables(true);
  const rocksdb::Status made =
      opened->CreateNewBackupWithMetadata(create, database_.db.get(), std::string(backup_format), &report.id);
  tables(false);
  if (made.IsIncomplete()) return tl::unexpected(engine::BackupRefusal::stopped);
  throw_unless_done(made, "cannot make the backup");
  const rocksdb::Status sound =
      pace_backup(run, pace) ? opened->VerifyBackup(report.id, true) : rocksdb::Status::Incomplete();
  if (sound.IsIncomplete()) {
    // One that was not checked is none.
    throw_unless_done(opened->DeleteBackup(report.id), "cannot remove the backup that was not checked");
    return tl::unexpected(engine::BackupRefusal::stopped);
  }
  throw_unless_done(sound, "the new backup is damaged");
  throw_unless_done(opened->PurgeOldBackups(options_.backups_kept), "cannot remove old backups");
  rocksdb::BackupInfo info;
  throw_unless_done(opened->GetBackupInfo(report.id, &info), "cannot read the new backup");
  report.made_at_s = info.timestamp;
  report.bytes = info.size;
  report.files = info.number_files;
  return report;
}

Restored restore_backup(const std::filesystem::path& backup_dir, std::uint32_t backup, const RocksStoreOptions& options) {
  check_target(options);
  std::error_code fault;
  if (!std::filesystem::is_directory(backup_dir, fault)) {
    throw OpenError("there is no directory " + backup_dir.string() + (fault ? " to be seen: " + fault.message() : "") +
                    "; name the one that backups were made in");
  }
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  refuse_unless(rocksdb::BackupEngineReadOnly::Open(rocksdb::Env::Default(), engine_options(backup_dir), &opened),
                backup_dir.string() + " holds no backups");
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> backups(opened);
  std::vector<rocksdb::BackupInfo> found;
  backups->GetBackupInfo(&found);
  const auto wanted = std::find_if(found.rbegin(), found.rend(),
                                   [&](const rocksdb::BackupInfo& one) { return backup == 0 || one.backup_id == backup; });
  if (wanted == found.rend()) {
    throw OpenError(backup_dir.string() + " holds no " + (backup == 0 ? "backup" : "backup " + std::to_string(backup)));
  }
  if (wanted->app_metadata != backup_format) {
    throw OpenError("the backup has the format \"" + wanted->app_metadata + "\", which this version does not know");
  }
  refuse_unless(backups->VerifyBackup(wanted->backup_id, true),
                "the backup is damaged; nothing was restored. Take another one (--backup ID)");
  const engine::SecretBytes master_key = master_key_for_restore(options);

  make_private_directory(options.data_dir);
  const DirectoryLock lock(options.data_dir);
  const std::filesystem::path database_path = database_dir(options);
  std::filesystem::remove_all(database_path);  // of a restore that did not end
  // Before the first row: whatever happens from here on, no code from before this moment is accepted.
  const engine::UnixMillis now{std::max(engine::wall_now().value, wanted->timestamp * 1000)};
  raise_fence(options.data_dir, now);
  make_private_directory(database_path);
  try {
    refuse_unless(backups->RestoreDBFromBackup(wanted->backup_id, database_path.string(), database_path.string()),
                  "cannot restore");
    Database database = open_database(options, false);
    static_cast<void>(open_key_table(database, master_key));
    void_recovery_codes(database);
  } catch (...) {
    std::filesystem::remove_all(database_path);
    throw;
  }
  finish_data_dir(options);
  return {.backup = wanted->backup_id, .made_at_s = wanted->timestamp, .fenced_until_s = now.seconds()};
}

}  // namespace watchword::storage
