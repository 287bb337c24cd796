// The embedded store: one RocksDB in the data directory, owned by this process alone.
//
// advance() writes one journal block with all cells of a group, and the rows of its changes, in one batch with one sync. A
// fold thread carries the newest cell values into the state rows behind, in bulk and sorted, and drops the blocks that they
// came in; where a shard has many, as a table file of its own. A failed write is never tried again: the store takes no more
// writes until it is opened anew, because what a failed sync left on disk is unknown.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/store.h"
#include "storage/files.h"
#include "storage/key_ring.h"
#include "storage/open.h"
#include "storage/rocksdb/audit_chain.h"
#include "storage/rocksdb/background_work.h"
#include "storage/rocksdb/format.h"
#include "storage/rocksdb/log_files.h"
#include "storage/rocksdb/overlay.h"
#include "storage/rocksdb/state_tables.h"
#include "storage/rocksdb/table_files.h"

namespace watchword::storage {

// An open database with its column families by job. Closes what it opened.
struct Database {
  std::shared_ptr<LogFiles> logs = std::make_shared<LogFiles>(std::make_shared<TableFiles>());
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(logs);  // with the one above, last out
  std::shared_ptr<BackgroundWork> background = std::make_shared<BackgroundWork>();
  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* documents = nullptr;
  rocksdb::ColumnFamilyHandle* journal = nullptr;
  std::array<rocksdb::ColumnFamilyHandle*, shard_count> registrations{};
  std::array<rocksdb::ColumnFamilyHandle*, shard_count> state{};
  rocksdb::ColumnFamilyHandle* audit = nullptr;
  rocksdb::ColumnFamilyHandle* audit_index = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> all;

  Database() = default;
  Database(Database&&) = default;
  ~Database();
};
std::int64_t steady_ms();

// Throws OpenError. `create`: the directory holds none yet.
Database open_database(const RocksStoreOptions& options, bool create);
// Changes nothing in there.
Database open_database_to_look(const RocksStoreOptions& options);
bool known_format(std::string_view format_file_content);

// open.cc: the data directory's parts.
std::filesystem::path database_dir(const RocksStoreOptions& options);
void make_private_directory(const std::filesystem::path& path);  // throws OpenError
// The last step of making one: from here on there is a store.
void finish_data_dir(const RocksStoreOptions& options);
// A data directory that this process alone has, with its keys opened.
struct OpenedDatabase {
  std::unique_ptr<DirectoryLock> lock;  // first in, last out
  Database database;
  KeyRing keys;
  std::string master_key_fingerprint;
};
// Throws OpenError, as open_rocks_store() does.
OpenedDatabase open_existing(const RocksStoreOptions& options);

struct RunningBackup;

class RocksStore : public engine::Store {
 public:
  RocksStore(OpenedDatabase opened, const RocksStoreOptions& options);
  ~RocksStore() override;

  void advance(std::span<const engine::CellWrite> cells, std::span<const engine::Change* const> changes,
               std::span<engine::Outcome> cell_outcomes, std::span<engine::Outcome> change_outcomes) noexcept override;
  std::optional<engine::LoadedUser> load(std::string_view user) override;
  engine::UserPage list(std::string_view prefix, std::string_view after, std::size_t limit) override;
  void for_each_user(const std::function<bool(const engine::UserRecord&)>& visit) override;
  void scan(std::string_view after, const std::function<bool(const engine::UserRecord&)>& visit) override;
  engine::UserNumber allocate_number(std::string_view user) override;
  std::optional<std::string> document(std::string_view name) override;
  std::vector<std::pair<std::string, std::string>> documents(std::string_view prefix) override;
  engine::AuditPage audit(const engine::AuditQuery& query) override { return audit_.query(query); }
  std::uint64_t audit_last() const noexcept override { return audit_.last(); }
  std::vector<engine::AuditRow> audit_after(std::uint64_t after, std::size_t limit) override {
    return audit_.after(after, limit);
  }
  const engine::SecretBytes& hash_key() const override { return keys_.hash_key(); }
  engine::StoreHealth health() const override;
  bool writable() const noexcept override { return writable_.load(std::memory_order_relaxed); }
  // A store that takes no writes does not fold, and nothing grows.
  bool behind() const noexcept override {
    return (hurries() && writable()) || tables_pile_up_.load(std::memory_order_relaxed) || database_.background->flushing();
  }
  double memory_filled() const noexcept override { return writable() ? memory_filled_.load(std::memory_order_relaxed) : 0; }
  void put_bulk(std::span<const engine::UserRecord> users) override;
  void finish_bulk() override;
  tl::expected<engine::KeysReport, engine::RotationFault> rotate_keys(  // key_rotation.cc
      const engine::RotationRequest& request, const std::function<engine::Outcome(engine::Change&)>& commit) override;
  engine::KeysReport keys() const override;
  engine::UnixMillis fence() const override { return fence_; }
  tl::expected<engine::BackupReport, engine::BackupRefusal> back_up() override;  // backup.cc
  void stop_backups() noexcept override;
  std::vector<engine::StoreFigure> figures() const override;  // figures.cc

 private:
  void recover_journal();
  bool write_group(std::span<const engine::CellWrite> cells, std::span<const engine::Change* const> changes);
  void put_change(rocksdb::WriteBatch& batch, const engine::Change& change);
  void put_rows(rocksdb::WriteBatch& batch, std::span<const engine::UserRecord> users);
  void reserve_numbers();
  void put_users(rocksdb::WriteBatch& batch, std::span<const engine::UserRecord> users);
  void remember(std::span<const engine::CellWrite> cells, std::span<const engine::Change* const> changes);
  void walk(std::string_view prefix, std::string_view after,
            const std::function<bool(std::string_view user, std::string_view row)>& visit);

  tl::expected<engine::BackupReport, engine::BackupRefusal> back_up(RunningBackup& run, std::int64_t pace);
  bool pace_backup(RunningBackup& run, std::int64_t bytes_per_s);

  void run_folds();
  void fold();
  void retire_audit();
  void write_state(const Overlay& cells, bool as_tables);
  bool write_table(std::size_t shard, std::span<const StateTables::Row> rows, const std::function<void()>& pause);
  void write_rows(std::size_t shard, std::span<const StateTables::Row> rows);
  void write_pausing(rocksdb::WriteBatch& batch);
  void stand_back(std::chrono::steady_clock::time_point begin) const;
  bool hurries() const noexcept {
    return folds_behind_.load(std::memory_order_relaxed) || memory_filled_.load(std::memory_order_relaxed) >= 1;
  }
  bool hurried() const { return stopping_ || hurries(); }
  void note_backlog();
  void look_at_tables();

  using Rotated = tl::expected<engine::KeysReport, engine::RotationFault>;
  Rotated add_data_key(const engine::SecretBytes& master_key, const engine::RotationRequest& request,
                       const std::function<engine::Outcome(engine::Change&)>& commit);
  Rotated take_master_key(const engine::SecretBytes& master_key, const engine::RotationRequest& request,
                          const std::function<engine::Outcome(engine::Change&)>& commit);
  void read_keys_report(const std::string& master_key_fingerprint);

  // reseal.cc
  void run_reseals();
  void reseal();
  void watch_writes(bool on);
  bool reseal_pass(struct ResealCursor& cursor);
  std::size_t reseal_stretch(struct ResealCursor& cursor, bool& shard_done);
  void write_resealed(std::span<const std::pair<std::string, std::string>> rows, const struct ResealCursor& cursor);
  void destroy_old_keys();
  bool pause_reseal(std::size_t rows);

  void fail_for_good(const std::string& reason) noexcept;
  void look_at_disk() noexcept;
  void set_writable() noexcept;

  const RocksStoreOptions options_;
  std::unique_ptr<DirectoryLock> lock_;  // first in, last out
  Database database_;
  KeyRing keys_;
  AuditChain audit_;
  const engine::UnixMillis fence_;
  StateTables state_tables_;
  std::mutex tables_mutex_;      // held by a fold, from its first row to the journal's new beginning
  bool tables_put_off_ = false;  // folds write rows: a backup is made; under tables_mutex_
  std::atomic<bool> tables_pile_up_{false};
  std::mutex backup_mutex_;  // one at a time
  std::mutex running_backup_mutex_;
  RunningBackup* running_backup_ = nullptr;  // under running_backup_mutex_
  bool backups_stopped_ = false;             // under running_backup_mutex_
  std::atomic<std::uint64_t> next_number_{1};
  std::uint64_t reserved_number_ = 0;  // bulk: numbers below this are on disk as given

  // Held by advance() and imports from the first row that they put together until all are written.
  std::mutex flight_mutex_;
  // Held while they put rows together, and by the resealing while it writes. Taken after flight_mutex_.
  std::mutex touched_mutex_;
  // Users whose rows were put together since the resealing began to read its present stretch; under touched_mutex_.
  boost::unordered_flat_set<std::string> touched_;
  bool watching_ = false;  // whether anybody looks there; under touched_mutex_

  std::mutex rotation_mutex_;  // one change to the rows of keys at a time
  mutable std::mutex report_mutex_;
  engine::KeysReport report_;  // under report_mutex_
  std::mutex reseal_mutex_;
  std::condition_variable reseal_wake_;
  bool reseal_due_ = false;       // under reseal_mutex_
  bool reseal_stopping_ = false;  // under reseal_mutex_
  std::thread resealer_;

  // Written by advance()'s one caller.
  std::uint64_t next_block_ = 1;
  std::string block_;
  rocksdb::WriteBatch batch_;

  mutable std::mutex overlay_mutex_;
  Overlay fresh_;                // since the last fold began; under overlay_mutex_
  Overlay folding_;              // being written to the state rows; changed only while overlay_mutex_ is held
  std::uint64_t fresh_end_ = 1;  // first block that is not in fresh_; under overlay_mutex_
  // Steady milliseconds when the oldest cell of each came; 0: it is empty. Under overlay_mutex_.
  std::int64_t fresh_since_ms_ = 0;
  std::int64_t folding_since_ms_ = 0;
  std::atomic<bool> folds_behind_{false};
  std::atomic<double> memory_filled_{0};
  std::atomic<std::uint64_t> folds_{0};
  std::atomic<std::uint64_t> fold_ns_{0};

  std::atomic<bool> writable_{true};  // what the two below come to; read on every verification
  std::atomic<bool> failed_{false};
  std::atomic<bool> disk_low_{false};
  std::mutex writable_mutex_;  // makes looking at the two and storing the sum one step
  mutable std::mutex reason_mutex_;
  std::string reason_;  // under reason_mutex_
  std::atomic<std::int64_t> disk_looked_at_ms_{0};

  std::mutex fold_mutex_;
  std::condition_variable fold_wake_;
  std::atomic<bool> stopping_{false};  // changed under fold_mutex_
  std::atomic<bool> fold_due_{false};
  std::thread folder_;
};

}  // namespace watchword::storage
