// Registration of whole estates, offline: devices come in active, as another system has confirmed them before. Nobody else
// uses the store meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/registrar.h"
#include "engine/store.h"
#include "engine/types.h"

namespace watchword::engine {

struct BulkRow {
  UserName user;
  std::string name;  // valid_device_name()
  SecretBytes secret;
  OtpParameters parameters;
};

class BulkRegistration {
 public:
  struct Options {
    std::size_t secret_bytes_min = engine::secret_bytes_min;  // short_secret_bytes_min for old estates
    unsigned devices_max = devices_per_user_max;
  };
  // Throws StoreError.
  BulkRegistration(Store& store, Options options, UnixMillis now);

  // Takes the row, or says why not: name_taken, device_limit, secret_too_short, secret_too_long, secret_registered or
  // bad_parameters. Throws StoreError.
  std::optional<Refusal> add(BulkRow row);
  // Afterwards all rows that add() took are durable. Throws StoreError.
  void finish();

  std::uint64_t devices() const { return devices_; }
  std::uint64_t new_users() const { return new_users_; }

 private:
  UserRecord& record_of(const UserName& user);
  void recall_used_steps(const UserRecord& record, const DeviceRecord& device);
  void write_out();

  Store& store_;
  const Options options_;
  const UnixMillis now_;
  bool store_was_empty_ = false;
  bool secrets_were_retired_ = false;
  // Of the users that this import has written. A collision only costs a look into the store.
  std::unordered_set<std::uint64_t> written_;
  // The users of the batch under way; grows to rows_per_batch.
  std::unordered_map<std::string, std::size_t> position_;
  std::vector<UserRecord> batch_;
  std::uint64_t devices_ = 0;
  std::uint64_t new_users_ = 0;
};

}  // namespace watchword::engine
