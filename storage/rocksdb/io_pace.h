// How fast a backup reads and writes, and in what pieces. RocksDB's own limiter (7.8) leaves a request waiting for ever now and
// then when its periods are short.
#pragma once

#include <rocksdb/rate_limiter.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

namespace watchword::storage {

// Each piece is due when the pieces before it would have been done at that rate. Any number of threads.
class IoPace : public rocksdb::RateLimiter {
 public:
  // What is read or written with one call. A kernel that does not preempt itself keeps a core for as long as that takes;
  // without a limiter RocksDB takes 5 MB.
  static constexpr std::int64_t piece_bytes = 64 * 1024;

  explicit IoPace(std::int64_t bytes_per_s) : RateLimiter(Mode::kAllIo), bytes_per_s_(bytes_per_s) {}

  using rocksdb::RateLimiter::Request;
  void Request(const std::int64_t bytes, const rocksdb::Env::IOPriority, rocksdb::Statistics*) override {
    requests_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    const std::chrono::duration<double> takes(static_cast<double>(bytes) / static_cast<double>(GetBytesPerSecond()));
    Clock::time_point due;
    {
      const std::lock_guard lock(mutex_);
      due = std::max(next_, Clock::now());
      next_ = due + std::chrono::duration_cast<Clock::duration>(takes);
    }
    std::this_thread::sleep_until(due);
  }

  void SetBytesPerSecond(std::int64_t bytes_per_s) override { bytes_per_s_.store(bytes_per_s, std::memory_order_relaxed); }
  std::int64_t GetBytesPerSecond() const override { return bytes_per_s_.load(std::memory_order_relaxed); }
  std::int64_t GetSingleBurstBytes() const override { return piece_bytes; }
  std::int64_t GetTotalBytesThrough(const rocksdb::Env::IOPriority) const override {
    return bytes_.load(std::memory_order_relaxed);
  }
  std::int64_t GetTotalRequests(const rocksdb::Env::IOPriority) const override {
    return requests_.load(std::memory_order_relaxed);
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::atomic<std::int64_t> bytes_per_s_;
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<std::int64_t> requests_{0};
  std::mutex mutex_;
  Clock::time_point next_{};  // under mutex_
};

}  // namespace watchword::storage
