// Keeps the directory's memory under a limit: a thread takes out users whom nobody has used for a while. They come back with
// their next request, as after a restart.
//
// Nobody goes whose words are not on disk as they stand. A user's mark of use is taken away; then every reader that was
// there leaves, and everything pushed so far becomes durable; only after that a sweep takes out who still has no mark.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include "engine/committer.h"
#include "engine/directory.h"
#include "engine/user_stripes.h"

namespace watchword::engine {

class MemoryCap {
 public:
  // `bytes_max`: of blocks and tables; 0: no limit, no thread. Each shard of the directory keeps to its part.
  MemoryCap(Directory& directory, Committer& committer, UserStripes& stripes, std::size_t bytes_max);
  ~MemoryCap();  // stop()
  MemoryCap(const MemoryCap&) = delete;
  MemoryCap& operator=(const MemoryCap&) = delete;

  // Before a user is loaded; any thread but an event loop's, with no stripe held. Waits while the user's shard is full.
  // False: it stayed full, because nothing becomes durable.
  bool make_room(std::uint64_t hash);
  // After a user was put. Never waits.
  void look(std::uint64_t hash) noexcept;

  void stop();
  std::size_t bytes_max() const noexcept { return shard_bytes_max_ * Directory::shard_count; }

 private:
  void run();
  bool sweep_all();
  bool checkpoint();
  void wake() noexcept;
  // Of a shard's part: here the thread begins, there it stops, and here whoever loads has to wait. What is left above is
  // room for slabs that are partly empty.
  std::size_t part(std::size_t sixteenths) const noexcept { return shard_bytes_max_ / 16 * sixteenths; }
  bool worth_sweeping(std::size_t shard) const noexcept;
  bool full(std::size_t shard) const noexcept;

  Directory& directory_;
  Committer& committer_;
  UserStripes& stripes_;
  const std::size_t shard_bytes_max_;
  std::mutex mutex_;
  std::condition_variable wanted_, swept_;
  std::atomic<bool> due_{false};
  std::atomic<bool> stopping_{false};
  // Of the thread: whether everything that was pushed about users whose mark was taken away is durable.
  bool settled_ = true;
  std::thread thread_;
};

}  // namespace watchword::engine
