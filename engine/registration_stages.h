// How registrations go: begun, confirmed, or expired without a confirmation. Those that are pending are remembered with the
// end of their time, so that what nobody comes back for is counted too. Of this process alone: what was pending at a start
// is not known here.
//
// Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "engine/types.h"

namespace watchword::engine {

class RegistrationStages {
 public:
  struct Counts {
    std::uint64_t begun = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t expired = 0;  // by time, by wrong codes, or replaced by later ones
    std::uint64_t pending = 0;  // now
  };

  void begun(DeviceId device, std::int64_t expires_at_s, UnixMillis now);
  void confirmed(DeviceId device);
  void expired(DeviceId device);
  // Removed by somebody: neither.
  void removed(DeviceId device);
  Counts counts(UnixMillis now);

 private:
  // Beyond it, pending ones are not remembered: their expiry is not counted.
  static constexpr std::size_t pending_max = std::size_t{1} << 20;

  bool forget(DeviceId device);
  void sweep(UnixMillis now);

  std::mutex mutex_;
  Counts counts_;                                            // under mutex_, as all below; `pending` is not kept
  std::unordered_map<std::uint64_t, std::int64_t> pending_;  // device to end
  std::set<std::pair<std::int64_t, std::uint64_t>> ends_;
};

}  // namespace watchword::engine
