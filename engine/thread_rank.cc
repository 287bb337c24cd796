#include "engine/thread_rank.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <thread>

namespace watchword::engine {
namespace {

constexpr std::uint64_t slice_ns = 200'000;  // some twenty requests
constexpr int background_nice = 10;
constexpr int patient_nice = 15;
constexpr std::chrono::microseconds works_for{200};
constexpr std::chrono::microseconds sleeps_for{20};
constexpr std::chrono::microseconds works_briefly_for{50};
constexpr std::chrono::microseconds sleeps_long_for{100};

// As the kernel has it (sched_setattr(2)); the C library of Debian 12 has no name for it.
struct SchedAttr {
  std::uint32_t size = sizeof(SchedAttr);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(SchedAttr) == 48);

thread_local bool pauses = false;

void pause_after(std::chrono::microseconds work, std::chrono::microseconds sleep) noexcept {
  if (!pauses) return;
  thread_local std::chrono::steady_clock::time_point since{};
  if (std::chrono::steady_clock::now() - since < work) return;
  std::this_thread::sleep_for(sleep);
  since = std::chrono::steady_clock::now();
}

void step_back(int by) noexcept {
  rank_as_pausing();
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), getpriority(PRIO_PROCESS, 0) + by));
}

}  // namespace

void rank_as_prompt() noexcept {
  SchedAttr attributes;
  attributes.nice = getpriority(PRIO_PROCESS, 0);
  attributes.runtime = slice_ns;
  static_cast<void>(syscall(SYS_sched_setattr, 0, &attributes, 0));
}

void rank_as_background() noexcept {
  step_back(background_nice);
}

void rank_as_patient() noexcept {
  step_back(patient_nice);
}

// Sleeps then end in time, and not up to 50 us later (PR_SET_TIMERSLACK(2const)).
void rank_as_pausing() noexcept {
  static_cast<void>(prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL));
  pauses = true;
}

void give_way() noexcept {
  pause_after(works_for, sleeps_for);
}

void give_way_often() noexcept {
  pause_after(works_briefly_for, sleeps_long_for);
}

}  // namespace watchword::engine
