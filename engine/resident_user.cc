#include "engine/resident_user.h"

#include <cstddef>
#include <cstring>
#include <new>

#include "engine/otp.h"
#include "engine/words.h"

namespace watchword::engine {
namespace {

struct Layout {
  std::size_t bytes = sizeof(ResidentUser);
  std::size_t devices = 0;
  std::size_t key_states_at = 0;
  std::size_t names_at = 0;
};

// Only active devices live here: a pending one verifies nothing.
bool resides(const DeviceRecord& device) {
  return device.status == DeviceStatus::active;
}

Layout lay_out(const UserRecord& record) {
  Layout layout;
  std::size_t key_states = 0, names = record.user.size();
  for (const DeviceRecord& device : record.devices) {
    if (!resides(device)) continue;
    ++layout.devices;
    key_states += key_state_bytes(device.parameters.algorithm);
    names += device.name.size();
  }
  layout.key_states_at = sizeof(ResidentUser) + layout.devices * sizeof(ResidentDevice);
  layout.names_at = layout.key_states_at + key_states;
  layout.bytes = layout.names_at + names;
  return layout;
}

CellValue thawed(const CellValue& value) {
  return {value.word & ~ReplayWord::frozen_bit, value.receipt};
}

}  // namespace

std::size_t resident_bytes(const UserRecord& record) {
  return lay_out(record).bytes;
}

ResidentUser* make_resident(void* memory, const LoadedUser& loaded) {
  const Layout layout = lay_out(loaded.record);
  auto* bytes = static_cast<std::uint8_t*>(memory);
  auto* user = new (memory) ResidentUser{};
  new (&user->throttle) Cell(loaded.throttle);
  user->number = loaded.record.number.value;
  user->block_bytes = static_cast<std::uint16_t>(layout.bytes);
  user->name_bytes = static_cast<std::uint16_t>(loaded.record.user.size());
  user->name_offset = static_cast<std::uint16_t>(layout.names_at);
  user->device_count = static_cast<std::uint8_t>(layout.devices);
  user->in_use.store(1, std::memory_order_relaxed);
  std::size_t key_state_at = layout.key_states_at, name_at = layout.names_at;
  const auto put_name = [&](std::string_view name) {
    std::memcpy(bytes + name_at, name.data(), name.size());
    name_at += name.size();
  };
  put_name(loaded.record.user);
  ResidentDevice* device = user->devices();
  for (std::size_t i = 0; i < loaded.record.devices.size(); ++i) {
    const DeviceRecord& from = loaded.record.devices[i];
    if (!resides(from)) continue;
    new (device) ResidentDevice{.replay = Cell(i < loaded.replay.size() ? loaded.replay[i] : CellValue{}),
                                .id = from.id.value,
                                .slot = from.slot,
                                .period_s = from.parameters.period_s,
                                .algorithm = from.parameters.algorithm,
                                .digits = from.parameters.digits,
                                .key_state_offset = static_cast<std::uint16_t>(key_state_at),
                                .name_offset = static_cast<std::uint16_t>(name_at),
                                .name_bytes = static_cast<std::uint16_t>(from.name.size()),
                                .enabled = from.enabled};
    derive_key_state(from.parameters.algorithm, from.secret.bytes(), bytes + key_state_at);
    key_state_at += key_state_bytes(from.parameters.algorithm);
    put_name(from.name);
    ++device;
  }
  return user;
}

// Cells are read as such: somebody may be trying to change them until they find them frozen.
ResidentUser* make_copy(void* memory, ResidentUser& old) {
  auto* const user = new (memory) ResidentUser{};
  new (&user->throttle) Cell(old.throttle.freeze());
  user->number = old.number;
  user->block_bytes = old.block_bytes;
  user->name_bytes = old.name_bytes;
  user->name_offset = old.name_offset;
  user->device_count = old.device_count;
  user->in_use.store(1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < old.device_count; ++i) {
    ResidentDevice& from = old.devices()[i];
    auto* const device = new (user->devices() + i) ResidentDevice{};
    new (&device->replay) Cell(from.replay.freeze());
    constexpr std::size_t after_cell = sizeof(Cell);
    static_assert(offsetof(ResidentDevice, replay) == 0);
    std::memcpy(reinterpret_cast<std::uint8_t*>(device) + after_cell,
                reinterpret_cast<const std::uint8_t*>(&from) + after_cell, sizeof(ResidentDevice) - after_cell);
  }
  const std::size_t rest_at = sizeof(ResidentUser) + old.device_count * sizeof(ResidentDevice);
  std::memcpy(static_cast<std::uint8_t*>(memory) + rest_at, reinterpret_cast<const std::uint8_t*>(&old) + rest_at,
              old.block_bytes - rest_at);
  return user;
}

// Of the throttle word it is the very value: a copy taken earlier may hold a charge that has since been undone, with its
// version, and would look like the later one. Of the replay words, the later one.
void carry_over(ResidentUser& old, ResidentUser& fresh) {
  const CellValue throttle = old.throttle.freeze();
  if (old.number == fresh.number) new (&fresh.throttle) Cell(throttle);
  for (std::size_t i = 0; i < old.device_count; ++i) {
    const CellValue last = old.devices()[i].replay.freeze();
    for (std::size_t k = 0; k < fresh.device_count; ++k) {
      ResidentDevice& device = fresh.devices()[k];
      if (device.id == old.devices()[i].id) new (&device.replay) Cell(newer(device.slot, device.replay.load(), last));
    }
  }
}

void freeze_all(ResidentUser& user) noexcept {
  user.throttle.freeze();
  for (std::size_t i = 0; i < user.device_count; ++i) user.devices()[i].replay.freeze();
}

void thaw_all(ResidentUser& user) noexcept {
  for (std::size_t i = 0; i < user.device_count; ++i) user.devices()[i].replay.thaw();
  user.throttle.thaw();
}

void read_last_words(ResidentUser& frozen, LastWords& words) {
  words.number = UserNumber{frozen.number};
  words.throttle = thawed(frozen.throttle.load());
  for (std::size_t i = 0; i < frozen.device_count; ++i) {
    ResidentDevice& device = frozen.devices()[i];
    words.replay.emplace_back(DeviceId{device.id}, thawed(device.replay.load()));
  }
}

}  // namespace watchword::engine
