// What the registrar's parts ask of a user's row. Pure, but for the drawing of ids.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "engine/registrar.h"
#include "engine/store.h"

namespace watchword::engine {

inline bool expired(const DeviceRecord& device, UnixMillis now) {
  return device.status == DeviceStatus::pending &&
         (device.expires_at_s <= now.seconds() || device.failed_confirmations >= failed_confirmations_max);
}

inline std::size_t count(const UserRecord& record, DeviceStatus status) {
  return static_cast<std::size_t>(std::count_if(record.devices.begin(), record.devices.end(),
                                                [&](const DeviceRecord& device) { return device.status == status; }));
}

inline void drop(LoadedUser& user, std::size_t at) {
  user.record.devices.erase(user.record.devices.begin() + static_cast<std::ptrdiff_t>(at));
  user.replay.erase(user.replay.begin() + static_cast<std::ptrdiff_t>(at));
}

// What is dead anyway goes with the next write.
inline void drop_expired(LoadedUser& user, UnixMillis now) {
  for (std::size_t i = user.record.devices.size(); i-- > 0;) {
    if (expired(user.record.devices[i], now)) drop(user, i);
  }
}

inline bool name_in_use(const UserRecord& record, std::string_view name, DeviceId except, UnixMillis now) {
  return std::any_of(record.devices.begin(), record.devices.end(), [&](const DeviceRecord& device) {
    return device.id != except && device.name == name && !expired(device, now);
  });
}

// Whether a row of an import has come before: the same device under the same name, active. It is left as it is.
bool is_present(const UserRecord& user, const BulkRow& row);

inline DeviceId new_device_id(const UserRecord& record) {
  for (;;) {
    const DeviceId id{random_nonzero_u64()};
    if (std::none_of(record.devices.begin(), record.devices.end(), [&](const auto& device) { return device.id == id; })) {
      return id;
    }
  }
}

}  // namespace watchword::engine
