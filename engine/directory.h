// The users that are in memory, found without a lock. A user is one block: header, devices, key states, name, device names.
// Blocks live in locked pages that core dumps leave out, and are wiped when freed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/cell.h"
#include "engine/otp.h"
#include "engine/rcu.h"
#include "engine/store.h"
#include "engine/types.h"

namespace watchword::engine {

struct ResidentDevice {
  Cell replay;  // ReplayWord and its receipt
  std::uint64_t id;
  std::uint32_t slot;
  std::uint16_t period_s;
  Algorithm algorithm;
  std::uint8_t digits;
  std::uint16_t key_state_offset;  // from the block's start
  std::uint16_t name_offset;
  std::uint16_t name_bytes;
  bool enabled;
};

struct ResidentUser {
  Cell throttle;  // ThrottleWord, and the receipt of the last refusal
  std::uint64_t number;
  std::uint16_t block_bytes;
  std::uint16_t name_bytes;
  std::uint16_t name_offset;
  std::uint8_t device_count;

  std::string_view name() const { return {reinterpret_cast<const char*>(this) + name_offset, name_bytes}; }
  ResidentDevice* devices() { return reinterpret_cast<ResidentDevice*>(this + 1); }
  const std::uint8_t* key_state(const ResidentDevice& device) const {
    return reinterpret_cast<const std::uint8_t*>(this) + device.key_state_offset;
  }
  std::string_view device_name(const ResidentDevice& device) const {
    return {reinterpret_cast<const char*>(this) + device.name_offset, device.name_bytes};
  }
};

static_assert(sizeof(ResidentUser) == 32 && sizeof(ResidentDevice) == 48);

std::uint64_t hash_user(std::string_view user) noexcept;

class SecretArena;

// What a user's words came to when they were frozen.
struct LastWords {
  UserNumber number;
  CellValue throttle;
  std::vector<std::pair<DeviceId, CellValue>> replay;
};

class Directory {
 public:
  static constexpr std::size_t shard_count = 16;
  Directory();
  ~Directory();

  // Inside a ReadScope; the pointer is good until it ends. nullptr: not resident.
  ResidentUser* find(std::string_view user, std::uint64_t hash) const noexcept;
  // Inside a ReadScope. Starts the fetch of what find() will touch first.
  void prefetch(std::uint64_t hash) const noexcept;
  // Inside a ReadScope, some work after prefetch(): starts the fetch of the block itself. A hint: it may be another user's.
  void prefetch_user(std::uint64_t hash) const noexcept;

  // Writers: any thread but an event loop's; calls about one user must not overlap (Registrar's stripes see to that).
  // Makes the user resident, or replaces the resident block: its words are frozen, carried over (the throttle word as
  // it stands; replay words by device id: the store's where the device is new, the later of the two where both have one) and
  // live on in the new block.
  void put(const LoadedUser& user);
  // No longer resident; its words are frozen, and returned. nullopt: was not resident.
  std::optional<LastWords> take(std::string_view user);
  bool resident(std::string_view user) const;

  std::size_t size() const noexcept;   // resident users
  std::size_t bytes() const noexcept;  // memory of blocks and tables

 private:
  struct Table;
  struct Shard;
  std::array<std::unique_ptr<Shard>, shard_count> shards_;
};

}  // namespace watchword::engine
