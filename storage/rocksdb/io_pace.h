// How fast the store's background (flushes, compactions, backups) reads and writes, and in what pieces; between two of them
// it gives way. RocksDB's own limiter (7.8) leaves a request waiting for ever now and then when its periods are short.
#pragma once

#include <rocksdb/rate_limiter.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "engine/thread_rank.h"

namespace watchword::storage {

// Each piece is due when the pieces before it would have been done at that rate. Any number of threads.
class IoPace : public rocksdb::RateLimiter {
 public:
  // What is read or written with one call. A kernel that does not preempt itself keeps a core for as long as that takes;
  // without a limiter RocksDB takes 5 MB.
  static constexpr std::int64_t piece_bytes = 64 * 1024;
  static constexpr std::int64_t unlimited_bytes_per_s = std::int64_t{4} << 30;  // more than disks give

  explicit IoPace(std::int64_t bytes_per_s) : RateLimiter(Mode::kAllIo), bytes_per_s_(bytes_per_s) {}

  using rocksdb::RateLimiter::Request;
  void Request(const std::int64_t bytes, const rocksdb::Env::IOPriority, rocksdb::Statistics*) override {
    engine::give_way();
    std::unique_lock lock(mutex_);
    ++requests_;
    bytes_ += bytes;
    const Clock::time_point due = std::max(next_, Clock::now());
    const std::chrono::duration<double> takes(static_cast<double>(bytes) / static_cast<double>(bytes_per_s_));
    next_ = due + std::chrono::duration_cast<Clock::duration>(takes);
    const std::uint64_t paces = paces_;
    changed_.wait_until(lock, due, [&] { return paces_ != paces; });
  }

  // Also for those who wait: they go on at once.
  void SetBytesPerSecond(std::int64_t bytes_per_s) override {
    {
      const std::lock_guard lock(mutex_);
      bytes_per_s_ = bytes_per_s;
      next_ = {};
      ++paces_;
    }
    changed_.notify_all();
  }
  std::int64_t GetBytesPerSecond() const override { return locked(bytes_per_s_); }
  std::int64_t GetSingleBurstBytes() const override { return piece_bytes; }
  std::int64_t GetTotalBytesThrough(const rocksdb::Env::IOPriority) const override { return locked(bytes_); }
  std::int64_t GetTotalRequests(const rocksdb::Env::IOPriority) const override { return locked(requests_); }

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t locked(const std::int64_t& value) const {
    const std::lock_guard lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All under mutex_.
  std::int64_t bytes_per_s_;
  std::int64_t bytes_ = 0;
  std::int64_t requests_ = 0;
  std::uint64_t paces_ = 0;
  Clock::time_point next_{};
};

}  // namespace watchword::storage
