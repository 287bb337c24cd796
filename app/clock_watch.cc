#include "app/clock_watch.h"

#include <time.h>

#include <algorithm>
#include <exception>

#include "storage/clock_file.h"

namespace watchword::app {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::minutes remember_interval{1};

milliseconds absolute(milliseconds duration) {
  return duration.count() < 0 ? -duration : duration;
}

}  // namespace

milliseconds unset_clock() noexcept {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<milliseconds>(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

ClockWatch::ClockWatch(std::filesystem::path data_dir, engine::UnixMillis wall, milliseconds unset)
    : data_dir_(std::move(data_dir)), wall_(wall), unset_(unset) {
  latest_ = std::max(wall, storage::read_clock(data_dir_).value_or(wall));
  remember();
}

ClockWatch::Seen ClockWatch::look(engine::UnixMillis wall, milliseconds unset) {
  Seen seen;
  const milliseconds off = milliseconds(wall.value - wall_.value) - (unset - unset_);
  if (absolute(off) >= clock_jump_min) {
    seen.jump = off;
    ++(off.count() > 0 ? jumps_forward_ : jumps_back_);
  }
  wall_ = wall;
  unset_ = unset;
  latest_ = std::max(latest_, wall);
  const milliseconds behind(latest_.value - wall.value);
  if (behind > clock_behind_max) {
    std::error_code error;
    if (!std::filesystem::exists(storage::clock_file(data_dir_), error) && !error) {
      latest_ = wall;
      seen.pardoned = true;
      remember();
    } else {
      seen.behind = behind;
    }
  }
  // After a jump at once: who is killed within the minute is not to have forgotten it.
  if (seen.jump.count() > 0 || !remembered_at_ || unset - *remembered_at_ >= remember_interval) remember();
  return seen;
}

void ClockWatch::remember() noexcept {
  remembered_at_ = unset_;
  try {
    storage::write_clock(data_dir_, latest_);
  } catch (const std::exception&) {
  }
}

}  // namespace watchword::app
