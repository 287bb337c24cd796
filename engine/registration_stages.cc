#include "engine/registration_stages.h"

namespace watchword::engine {

void RegistrationStages::begun(DeviceId device, std::int64_t expires_at_s, UnixMillis now) {
  const std::lock_guard lock(mutex_);
  ++counts_.begun;
  sweep(now);
  if (pending_.size() >= pending_max || !pending_.emplace(device.value, expires_at_s).second) return;
  ends_.emplace(expires_at_s, device.value);
}

void RegistrationStages::confirmed(DeviceId device) {
  const std::lock_guard lock(mutex_);
  ++counts_.confirmed;
  forget(device);
}

void RegistrationStages::expired(DeviceId device) {
  const std::lock_guard lock(mutex_);
  if (forget(device)) ++counts_.expired;
}

void RegistrationStages::removed(DeviceId device) {
  const std::lock_guard lock(mutex_);
  forget(device);
}

RegistrationStages::Counts RegistrationStages::counts(UnixMillis now) {
  const std::lock_guard lock(mutex_);
  sweep(now);
  Counts counts = counts_;
  counts.pending = pending_.size();
  return counts;
}

bool RegistrationStages::forget(DeviceId device) {
  const auto found = pending_.find(device.value);
  if (found == pending_.end()) return false;
  ends_.erase({found->second, device.value});
  pending_.erase(found);
  return true;
}

void RegistrationStages::sweep(UnixMillis now) {
  while (!ends_.empty() && ends_.begin()->first <= now.seconds()) {
    pending_.erase(ends_.begin()->second);
    ends_.erase(ends_.begin());
    ++counts_.expired;
  }
}

}  // namespace watchword::engine
