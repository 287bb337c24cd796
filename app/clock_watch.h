// The wall clock, watched: against a clock that nobody sets, and against the latest time that this data directory has known.
// A clock that jumps accepts nothing twice (see Time in docs/architecture.md), but codes of a time that is past may be good
// again, and people whose last code is of the future have to wait for it; so it is told. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "engine/types.h"

namespace watchword::app {

// How far a clock may go back before the server calls itself unfit. What the time service mends now and then is less.
inline constexpr std::chrono::seconds clock_behind_max{60};
// What is a jump, between two looks.
inline constexpr std::chrono::seconds clock_jump_min{1};

// Of a clock that is never set and goes on while the machine sleeps (CLOCK_BOOTTIME).
std::chrono::milliseconds unset_clock() noexcept;

class ClockWatch {
 public:
  struct Seen {
    std::chrono::milliseconds jump{0};    // since the last look, forward or back; 0: none
    std::chrono::milliseconds behind{0};  // how much earlier it is than it has been; 0 within clock_behind_max
    bool pardoned = false;                // CLOCK was removed: the present time is right
  };

  // Reads CLOCK, if it is there. Throws storage::OpenError where it cannot be read at all.
  ClockWatch(std::filesystem::path data_dir, engine::UnixMillis wall, std::chrono::milliseconds unset);

  Seen look(engine::UnixMillis wall, std::chrono::milliseconds unset);
  // Remembers the latest time for the next start. Also called by look(), once a minute. A full disk is no fault of ours:
  // then the next start compares with an older time.
  void remember() noexcept;

  std::uint64_t jumps_forward() const { return jumps_forward_; }
  std::uint64_t jumps_back() const { return jumps_back_; }

 private:
  const std::filesystem::path data_dir_;
  engine::UnixMillis latest_;  // wall-clock time, the greatest one known
  engine::UnixMillis wall_;    // of the last look
  std::chrono::milliseconds unset_;
  std::optional<std::chrono::milliseconds> remembered_at_;  // by the clock that nobody sets
  std::uint64_t jumps_forward_ = 0;
  std::uint64_t jumps_back_ = 0;
};

}  // namespace watchword::app
