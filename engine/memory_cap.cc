#include "engine/memory_cap.h"

#include <algorithm>
#include <chrono>

#include "engine/rcu.h"

namespace watchword::engine {
namespace {

constexpr std::size_t begin_sixteenths = 13, end_sixteenths = 12, full_sixteenths = 14;
// Longer than a disk that works takes; who waits so long is answered with an error.
constexpr std::chrono::seconds room_wait{2};
// While nothing becomes durable.
constexpr std::chrono::milliseconds retry_pause{20};

}  // namespace

MemoryCap::MemoryCap(Directory& directory, Committer& committer, UserStripes& stripes, std::size_t bytes_max)
    : directory_(directory), committer_(committer), stripes_(stripes), shard_bytes_max_(bytes_max / Directory::shard_count) {
  if (shard_bytes_max_ == 0) return;
  // Memory must follow whoever is there, of whatever size.
  directory_.leave_out_places();
  thread_ = std::thread([this] { run(); });
}

MemoryCap::~MemoryCap() {
  stop();
}

void MemoryCap::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_all();
  swept_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool MemoryCap::worth_sweeping(std::size_t shard) const noexcept {
  const Directory::Memory memory = directory_.memory(shard);
  return memory.users > part(begin_sixteenths) || memory.slabs > part(16);
}
bool MemoryCap::full(std::size_t shard) const noexcept {
  const Directory::Memory memory = directory_.memory(shard);
  return memory.users > part(full_sixteenths) || memory.slabs > part(16);
}

void MemoryCap::wake() noexcept {
  if (due_.exchange(true)) return;
  const std::lock_guard lock(mutex_);
  wanted_.notify_one();
}

void MemoryCap::look(std::uint64_t hash) noexcept {
  if (shard_bytes_max_ > 0 && worth_sweeping(Directory::shard_of(hash))) wake();
}

bool MemoryCap::make_room(std::uint64_t hash) {
  const std::size_t shard = Directory::shard_of(hash);
  if (shard_bytes_max_ == 0 || !full(shard)) return true;
  wake();
  std::unique_lock lock(mutex_);
  return swept_.wait_for(lock, room_wait, [&] { return stopping_ || !full(shard); }) && !stopping_;
}

// Nobody reads an old block any more, and nothing is pushed about users as they were before: what then is durable is all.
bool MemoryCap::checkpoint() {
  wait_for_readers();
  for (std::size_t shard = 0; shard < Directory::shard_count; ++shard) directory_.reclaim(shard);
  settled_ = committer_.settle();
  return settled_;
}

// One piece of each shard that needs it. False: none does, or nobody may go.
bool MemoryCap::sweep_all() {
  if (!settled_ && !checkpoint()) return false;
  bool swept = false;
  for (std::size_t shard = 0; shard < Directory::shard_count; ++shard) {
    if (!worth_sweeping(shard)) continue;
    const Directory::Memory memory = directory_.memory(shard);
    // Where slabs alone are too many, fewer users are the way to whole slabs that are free.
    const std::size_t target =
        memory.slabs > part(16) ? std::min(memory.users / 8 * 7, part(end_sixteenths)) : part(end_sixteenths);
    directory_.sweep(shard, target, stripes_);
    swept = true;
  }
  if (!swept) return false;
  checkpoint();
  { const std::lock_guard lock(mutex_); }
  swept_.notify_all();
  return settled_;
}

void MemoryCap::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wanted_.wait(lock, [this] { return stopping_ || due_; });
      if (stopping_) return;
      due_ = false;
    }
    while (!stopping_ && sweep_all()) {
    }
    if (settled_) continue;
    std::unique_lock lock(mutex_);
    wanted_.wait_for(lock, retry_pause, [this] { return stopping_.load(); });
    due_ = true;
  }
}

}  // namespace watchword::engine
