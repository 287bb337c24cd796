// What the engine asks of a store. Implementations live in storage/; this header knows none of them.
//
// Two kinds of data. *Registrations*: one row a user with all devices, large, rarely written. *Cells*: one replay word a
// device and one throttle word a user, 16 bytes each, written all the time. Both become durable through advance(), in one
// order.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "engine/audit.h"
#include "engine/audit_query.h"
#include "engine/key_rotation.h"
#include "engine/types.h"

namespace watchword::engine {

// A fault of the store itself (I/O, corruption). Never used for a decision.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::uint32_t throttle_slot = 0;  // devices have slots from 1 up; a slot is never used again for its user

struct CellKey {
  UserNumber user;
  std::uint32_t slot = throttle_slot;
  auto operator<=>(const CellKey&) const = default;
};
// `word` is a ReplayWord (slot >= 1) or a ThrottleWord (slot 0), never frozen. `receipt` tags the request that made it; 0:
// none.
struct CellValue {
  std::uint64_t word = 0;
  std::uint64_t receipt = 0;
  bool operator==(const CellValue&) const = default;
};
struct CellWrite {
  CellKey key;
  CellValue value;
};
// Of two values of the cell `slot`, the one that came later (see words.h).
CellValue newer(std::uint32_t slot, const CellValue& a, const CellValue& b);

enum class DeviceStatus : std::uint8_t { pending = 1, active = 2 };

struct DeviceRecord {
  DeviceId id;
  std::uint32_t slot = 0;
  std::string name;
  OtpParameters parameters;
  DeviceStatus status = DeviceStatus::pending;
  bool enabled = true;
  std::uint8_t failed_confirmations = 0;
  std::int64_t created_at_s = 0;
  std::int64_t confirmed_at_s = 0;  // 0 while pending
  std::int64_t expires_at_s = 0;    // of a pending device
  SecretBytes secret;               // in the clear here; the store seals it
};

struct UserRecord {
  std::string user;
  UserNumber number;
  std::int64_t created_at_s = 0;
  std::uint32_t next_slot = 1;
  std::uint64_t version = 0;  // counts changes
  std::vector<DeviceRecord> devices;
};

struct LoadedUser {
  UserRecord record;
  CellValue throttle;
  std::vector<CellValue> replay;  // by position in record.devices; zero when the store has none
};

// Everything in a change becomes durable together or not at all. Order of application: as listed here.
struct Change {
  std::vector<UserRecord> put_users;
  std::vector<std::pair<std::string, UserNumber>> erase_users;  // with all their cells
  std::vector<CellWrite> cells;
  std::vector<CellKey> erase_cells;
  std::vector<std::pair<std::string, std::string>> put_documents;  // small named rows: API keys, policy
  std::vector<std::string> erase_documents;
  std::vector<std::pair<std::string, std::string>> put_keys;  // rows of sealed keys; the store's own, by rotate_keys()
  std::vector<AuditEntry> audit;                              // what the trail says about it
  std::vector<AuditNote> notes;                               // likewise, in memory that outlives the change
};

enum class Outcome : std::uint8_t {
  durable,   // on disk
  conflict,  // another owner of a shared store was there first; the embedded store never says so
  failed,    // not accepted; whether it is on disk is unknown
};

struct UserSummary {
  std::string user;
  std::int64_t created_at_s = 0;
  unsigned active_devices = 0;
};
struct UserPage {
  std::vector<UserSummary> users;
  bool more = false;
};

struct StoreHealth {
  bool writable = true;
  bool needs_restart = false;  // a write or sync failed: the store takes none until it is opened again
  std::string reason;          // for people; empty when healthy
};

// A reading of a store for whoever watches it: a metric by its full name. Labels come from small fixed sets.
struct StoreFigure {
  std::string name;
  std::string help;
  bool counts = false;  // only grows while the process lives; else it goes up and down
  std::string label;    // and its value; empty: none
  std::string label_value;
  double value = 0;
};

struct BackupReport {
  std::uint32_t id = 0;
  std::int64_t made_at_s = 0;
  std::uint64_t bytes = 0;
  std::uint32_t files = 0;
};
enum class BackupRefusal : std::uint8_t { not_configured, running, stopped };

class Store {
 public:
  virtual ~Store() = default;

  // Makes all cells and all changes durable with one sync, changes after cells. One caller at a time (the committer).
  // Writes one outcome a cell and one a change; both spans have the lengths of their inputs. Never throws.
  virtual void advance(std::span<const CellWrite> cells, std::span<const Change* const> changes,
                       std::span<Outcome> cell_outcomes, std::span<Outcome> change_outcomes) noexcept = 0;

  // Any thread. Cells include everything that advance() has made durable. nullopt: no such user. Throws StoreError.
  virtual std::optional<LoadedUser> load(std::string_view user) = 0;
  // Users in byte order after `after` (exclusive), beginning with `prefix`, at most `limit`. Throws StoreError.
  virtual UserPage list(std::string_view prefix, std::string_view after, std::size_t limit) = 0;
  // Every user in byte order; stops when `visit` says false. Throws StoreError.
  virtual void for_each_user(const std::function<bool(const UserRecord&)>& visit) = 0;
  // Users in byte order after `after` (exclusive), their devices without secrets; stops when `visit` says false. Any thread.
  // Throws StoreError.
  virtual void scan(std::string_view after, const std::function<bool(const UserRecord&)>& visit) = 0;
  // A number for a new user of this name; never given twice, also over restarts, once a change that holds it is durable.
  virtual UserNumber allocate_number(std::string_view user) = 0;

  virtual std::optional<std::string> document(std::string_view name) = 0;
  virtual std::vector<std::pair<std::string, std::string>> documents(std::string_view prefix) = 0;

  // The audit trail, newest first. Any thread. Throws StoreError.
  virtual AuditPage audit(const AuditQuery& query) = 0;
  // The newest entry's number; 0: there never was one. Cheap, any thread.
  virtual std::uint64_t audit_last() const noexcept = 0;
  // Entries after number `after`, oldest first, at most `limit`. Any thread. Throws StoreError.
  virtual std::vector<AuditRow> audit_after(std::uint64_t after, std::size_t limit) = 0;

  // 32 bytes, the same for the life of the data directory: keys receipts and fingerprints.
  virtual const SecretBytes& hash_key() const = 0;
  // Cheap, any thread.
  virtual StoreHealth health() const = 0;
  virtual bool writable() const noexcept = 0;
  // The store's background, which gives way to others, has something to do that they may come to wait for: whoever is never
  // idle should leave it some of the core.
  virtual bool behind() const noexcept { return false; }
  // What is not folded yet, as a part of what may fill memory. Nothing bounds it but that whoever fills it gives way: from 1
  // on, and the more the farther it is beyond.
  virtual double memory_filled() const noexcept { return 0; }

  // Any thread; may take a lock, but none that advance() waits behind for long.
  virtual std::vector<StoreFigure> figures() const { return {}; }

  // Until when codes are refused, because what was accepted before may have been lost (engine/fence.h). Zero: no fence.
  virtual UnixMillis fence() const { return {}; }
  // Makes a backup where the configuration says, and verifies it. Blocks for as long as that takes; everything else goes on
  // meanwhile. Throws StoreError.
  virtual tl::expected<BackupReport, BackupRefusal> back_up() { return tl::unexpected(BackupRefusal::not_configured); }
  // The one that is being made ends soon, unfinished, and none begins any more. Any thread.
  virtual void stop_backups() noexcept {}

  // Makes a new data key and seals every secret anew under it, in the background; or takes a new master key. `commit` makes
  // the change durable, with whatever it adds to it, through the one who calls advance(). Blocks; any thread but an event
  // loop's. Throws StoreError.
  virtual tl::expected<KeysReport, RotationFault> rotate_keys(const RotationRequest&,
                                                              const std::function<Outcome(Change&)>& /*commit*/) {
    return tl::unexpected(RotationFault{RotationRefusal::not_supported, "this store has no keys"});
  }
  // Cheap, any thread.
  virtual KeysReport keys() const { return {}; }

  // Bulk import, offline only: as put_users of a change, without sync. finish_bulk() makes it durable. Throws StoreError.
  virtual void put_bulk(std::span<const UserRecord> users) = 0;
  virtual void finish_bulk() = 0;
};

}  // namespace watchword::engine
