// Registration of whole estates, offline: devices come in active, as another system has confirmed them before. Nobody else
// uses the store meanwhile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <future>
#include <optional>
#include <vector>

#include "engine/registrar.h"
#include "engine/store.h"
#include "engine/types.h"

namespace watchword::engine {

class BulkRegistration {
 public:
  struct Options {
    std::size_t secret_bytes_min = engine::secret_bytes_min;  // short_secret_bytes_min for old estates
    unsigned devices_max = devices_per_user_max;
  };
  // Throws StoreError.
  BulkRegistration(Store& store, Options options, UnixMillis now);
  ~BulkRegistration();
  BulkRegistration(const BulkRegistration&) = delete;
  BulkRegistration& operator=(const BulkRegistration&) = delete;

  // Takes the row, as Registrar::import does, or says why not: name_taken, device_limit, secret_too_short, secret_too_long,
  // secret_registered or bad_parameters. Throws StoreError.
  Answer<Imported> add(BulkRow row);
  // Afterwards all rows that add() took are durable. Throws StoreError.
  void finish();

  std::uint64_t devices() const { return devices_; }  // added
  std::uint64_t new_users() const { return new_users_; }

 private:
  static constexpr std::size_t users_per_batch = 4096;

  struct Person {
    UserRecord record;
    bool changed = false;
  };
  Person& person_of(const UserName& user);
  UserRecord from_store(const UserName& user, std::uint64_t hash);
  void recall_used_steps(const UserRecord& record, const DeviceRecord& device);
  DeviceId draw_id();
  void write_out();
  void wait_for_batch();

  // Whether this import may have written the user; never a wrong no. What it says wrongly costs a look into the store.
  class Written {
   public:
    void add(std::uint64_t hash) { bits_[hash >> shift] |= mask(hash); }
    bool may_contain(std::uint64_t hash) const { return (bits_[hash >> shift] & mask(hash)) != 0; }

   private:
    static constexpr unsigned words_log2 = 22;  // 32 MiB: with ten million users one look in twenty-seven is in vain
    static constexpr unsigned shift = 64 - words_log2;
    static std::uint64_t mask(std::uint64_t hash) { return std::uint64_t{1} << (hash & 63); }
    std::vector<std::uint64_t> bits_ = std::vector<std::uint64_t>(std::size_t{1} << words_log2);
  };

  Store& store_;
  const Options options_;
  const UnixMillis now_;
  bool store_was_empty_ = false;
  bool secrets_were_retired_ = false;
  Written written_;
  // The batch under way: its users, and where each is by hash (open addressing; position + 1, zero: nobody).
  std::vector<Person> batch_;
  std::vector<std::uint64_t> hashes_;
  std::array<std::uint16_t, 4 * users_per_batch> position_{};
  // The batch before it, being sealed and written meanwhile.
  std::vector<UserRecord> outgoing_;
  std::future<void> written_out_;
  std::array<std::uint64_t, 256> ids_{};
  std::size_t ids_left_ = 0;
  std::uint64_t devices_ = 0;
  std::uint64_t new_users_ = 0;
};

}  // namespace watchword::engine
