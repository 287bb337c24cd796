// People and their devices, at leisure: every call may block on the store and belongs on a worker thread. Two calls about
// one user never interleave; two about different users hardly ever wait for each other. Every changing call says whose doing
// it is, and leaves an entry in the audit trail in the same write.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <tl/expected.hpp>

#include "engine/audit.h"
#include "engine/committer.h"
#include "engine/directory.h"
#include "engine/memory_cap.h"
#include "engine/otp.h"
#include "engine/policy_box.h"
#include "engine/recovery_codes.h"
#include "engine/registration_stages.h"
#include "engine/store.h"
#include "engine/types.h"
#include "engine/user_stripes.h"
#include "engine/verifier.h"

namespace watchword::engine {

enum class Refusal : std::uint8_t {
  user_not_found,
  device_not_found,
  name_taken,    // another device of the user has the name
  device_limit,  // as many active devices as policy allows
  not_pending,   // confirm or picture of a device that is active already
  not_active,    // resync, enable... of a pending device
  expired,       // the pending registration ran out, by time or by wrong codes
  secret_too_short,
  secret_too_long,
  secret_registered,  // the user has a device with this very secret
  bad_parameters,
  code_length,        // not the device's number of digits
  changed_meanwhile,  // the user is not as the caller has seen them
  store_unavailable,  // nothing happened, or it is unknown whether: 503
};
std::string_view to_string(Refusal refusal);

template <class T>
using Answer = tl::expected<T, Refusal>;

struct NewDevice {
  std::string name;                    // valid_device_name()
  std::optional<Algorithm> algorithm;  // policy's default where absent
  std::optional<std::uint8_t> digits;
  std::optional<std::uint16_t> period_s;
  std::optional<SecretBytes> secret;  // made where absent
};

// A device without its secret.
struct DeviceView {
  DeviceId id;
  std::string name;
  OtpParameters parameters;
  DeviceStatus status = DeviceStatus::pending;
  bool enabled = true;
  std::int64_t created_at_s = 0;
  std::int64_t confirmed_at_s = 0;
  std::int64_t expires_at_s = 0;    // pending only
  std::int64_t last_used_at_s = 0;  // begin of the step last accepted; 0: never
  int drift_steps = 0;
  std::string tag;  // the user's: a change to any of their devices counts
};

struct UserView {
  std::string user;
  std::int64_t created_at_s = 0;
  std::uint64_t version = 0;
  std::string tag;  // changes with every change of the user or their devices, and never comes back
  unsigned failures = 0;
  bool locked = false;
  bool hard_locked = false;
  std::uint32_t retry_after_s = 0;
  unsigned recovery_codes_left = 0;
  std::vector<DeviceView> devices;  // pending ones that have expired are left out
};

// What became of a recovery code. Never code_length; no_device: the user has neither a device nor recovery codes.
struct RecoveryUse {
  Result result = Result::no_device;
  bool repeated = false;
  bool hard_locked = false;
  std::uint32_t retry_after_s = 0;
  unsigned left = 0;  // accepted
};

struct BegunRegistration {
  DeviceView device;
  SecretBytes secret;
  std::string otpauth_uri;
};

struct Confirmation {
  bool accepted = false;
  std::optional<std::int64_t> clock_offset_s;  // refused, but the code is right for a moment within an hour of now
  DeviceView device;
};

struct Resynced {
  enum class Kind : std::uint8_t { accepted, rejected, replayed, locked } kind = Kind::rejected;
  int drift_steps = 0;
  std::uint32_t retry_after_s = 0;
  DeviceView device;
};

std::string_view to_string(Resynced::Kind kind);

// A device that another system has confirmed before.
struct BulkRow {
  UserName user;
  std::string name;  // valid_device_name()
  SecretBytes secret;
  OtpParameters parameters;
};

enum class Imported : std::uint8_t {
  added,
  present,  // the user has this very device under this name already
};

// Why `user` cannot have the device: bad_parameters, secret_too_short, secret_too_long, secret_registered, name_taken or
// device_limit.
std::optional<Refusal> import_fault(const UserRecord& user, const BulkRow& row, std::size_t bytes_min, unsigned devices_max);

struct DevicePatch {
  std::optional<std::string> name;  // valid_device_name()
  std::optional<bool> enabled;
};

// Wrong codes after which a pending registration is void: it has a budget of its own, so that mistyping does not lock out
// the devices that a person has.
inline constexpr std::uint8_t failed_confirmations_max = 10;
// Pending registrations kept for a user; a further one replaces the oldest.
inline constexpr std::size_t pending_devices_max = 8;

// Rows of one import(): their people are held for as long as the write takes, and it delays the verifications in its group.
inline constexpr std::size_t import_rows_max = 128;

// Whether a device with these shows the same codes as `device`.
bool same_codes(const DeviceRecord& device, const OtpParameters& parameters, const SecretBytes& secret);

class Registrar {
 public:
  Registrar(Store& store, Committer& committer, Directory& directory, UserStripes& stripes, MemoryCap& memory,
            PolicyBox& policy, const HmacKernel& kernel);

  Answer<BegunRegistration> begin(const UserName& user, const NewDevice& device, const Origin& origin, UnixMillis now);
  // The URI again, for the picture, while the device is pending. The only other way to a secret.
  Answer<std::string> pending_uri(const UserName& user, DeviceId id, UnixMillis now);
  Answer<Confirmation> confirm(const UserName& user, DeviceId id, Code code, const Origin& origin, UnixMillis now);
  Answer<UserView> get(const UserName& user, UnixMillis now);
  // `seen`: only while the user's change tag is one of these (UserView::tag).
  using SeenTags = std::optional<std::vector<std::string>>;
  Answer<DeviceView> patch(const UserName& user, DeviceId id, const DevicePatch& patch, const Origin& origin, UnixMillis now,
                           const SeenTags& seen = std::nullopt);
  Answer<std::monostate> remove(const UserName& user, DeviceId id, const Origin& origin, UnixMillis now,
                                const SeenTags& seen = std::nullopt);
  Answer<std::monostate> remove_user(const UserName& user, const Origin& origin, UnixMillis now,
                                     const SeenTags& seen = std::nullopt);
  Answer<UserView> unlock(const UserName& user, const Origin& origin, UnixMillis now);
  Answer<Resynced> resync(const UserName& user, DeviceId id, Code code1, Code code2, const Origin& origin, UnixMillis now);

  // registrar_import.cc. Devices of many people at once, active from the start, in one write: all that are added, or none
  // (then they all say store_unavailable). A row that is there already is left as it is. At most import_rows_max rows.
  struct ImportAnswer {
    std::vector<Answer<Imported>> rows;  // by position
    std::size_t new_users = 0;
  };
  ImportAnswer import(std::vector<BulkRow> rows, std::size_t bytes_min, const Origin& origin, UnixMillis now);

  // registrar_recovery.cc. Both compute slow hashes: on the pool for that, and on no thread that a verification waits for.
  // A new set of ten, shown once; the one before is void.
  Answer<std::vector<std::string>> make_recovery_codes(const UserName& user, const Origin& origin, UnixMillis now);
  // One attempt: charged on the user's throttle word, durably, before the code is looked at; used up, durably, before it is
  // accepted. `receipt` as in VerifyRequest.
  Answer<RecoveryUse> use_recovery_code(const UserName& user, const RecoveryCode& code, std::uint64_t receipt,
                                        const Origin& origin, UnixMillis now);

  // As Verifier::fence_until: codes from before that confirm or resynchronise are refused too.
  void fence_until(UnixMillis moment) noexcept { fence_ms_.store(moment.value, std::memory_order_relaxed); }

  // Makes the user resident if the store has them. False: no such user. Throws StoreError, also where memory is full and
  // stays so. Called by worker threads after Next::load_user.
  bool load(std::string_view user);

  // For whoever counts. Any thread.
  RegistrationStages& stages() { return stages_; }
  std::uint64_t loads() const { return loads_.load(std::memory_order_relaxed); }  // users brought into memory by load()

 private:
  // A user's row with the lock that keeps it still: read, change, write durably, publish.
  std::unique_lock<std::mutex> lock(std::string_view user);
  std::vector<std::unique_lock<std::mutex>> lock_all(const std::vector<BulkRow>& rows);
  std::optional<LoadedUser> find(std::string_view user);
  Outcome write(LoadedUser& user, Change change);
  static AuditEntry entry(std::string_view action, std::string_view user, DeviceId device, std::string detail,
                          const Origin& origin, UnixMillis now);
  DeviceView view(const LoadedUser& user, std::size_t device, UnixMillis now);
  UserView view(const LoadedUser& user, UnixMillis now);
  void freshen(LoadedUser& user);
  RecoverySet recovery_set(UserNumber user);
  template <class Step>
  std::optional<CellValue> change_throttle_cell(const LoadedUser& user, Step step);
  bool write_throttle(const LoadedUser& user, const CellValue& value, Change change = {});
  Answer<Confirmation> refuse_confirmation(LoadedUser& user, std::size_t at, Code code, const Origin& origin,
                                           UnixMillis now);
  void publish(const LoadedUser& user) noexcept;
  void withdraw(LoadedUser& user);
  Change retirement(const DeviceRecord& device, const CellValue& last, UnixMillis now);
  std::int64_t retired_step(const DeviceRecord& device, UnixMillis now);

  Store& store_;
  Committer& committer_;
  Directory& directory_;
  UserStripes& stripes_;
  MemoryCap& memory_;
  PolicyBox& policy_;
  const HmacKernel& kernel_;
  RegistrationStages stages_;
  std::atomic<std::uint64_t> loads_{0};
  UnixMillis fence() const { return {fence_ms_.load(std::memory_order_relaxed)}; }
  std::atomic<std::int64_t> fence_ms_{0};
  std::atomic<std::int64_t> notes_swept_at_s_{0};  // when retired secrets were last looked through
};

}  // namespace watchword::engine
