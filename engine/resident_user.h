// A user in memory: one block of header, devices, key states, name and device names.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/cell.h"
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
  // Set by whoever verifies, before any word changes; taken away by Directory::sweep, which takes out who has not got it
  // back.
  std::atomic<std::uint8_t> in_use;

  void use() noexcept {
    if (in_use.load(std::memory_order_relaxed) == 0) in_use.store(1, std::memory_order_relaxed);
  }
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

// What a user's words came to when they were frozen.
struct LastWords {
  UserNumber number;
  CellValue throttle;
  std::vector<std::pair<DeviceId, CellValue>> replay;
};

// What follows is for the directory's writers.

std::size_t resident_bytes(const UserRecord& record);
// `memory`: resident_bytes(), 16-byte aligned. Nobody else sees it yet.
ResidentUser* make_resident(void* memory, const LoadedUser& user);
// The same user in another place, in use: the words of `old` are frozen, and live on in the copy, which nobody else sees
// yet. `memory`: old.block_bytes, 16-byte aligned.
ResidentUser* make_copy(void* memory, ResidentUser& old);
// The words of `old`, frozen, live on in `fresh`, which nobody else sees yet.
void carry_over(ResidentUser& old, ResidentUser& fresh);
void freeze_all(ResidentUser& user) noexcept;
// After freeze_all(), where the block stays after all.
void thaw_all(ResidentUser& user) noexcept;
void read_last_words(ResidentUser& frozen, LastWords& words);

}  // namespace watchword::engine
