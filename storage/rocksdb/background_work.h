// RocksDB's flushes and compactions: that they give way to loops and committer, and when there is a flush.
#pragma once

#include <rocksdb/listener.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

#include "engine/thread_rank.h"

namespace watchword::storage {

class BackgroundWork : public rocksdb::EventListener {
 public:
  void OnFlushBegin(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    give_way();
    flush_until_ms_ = now_ms() + at_most_ms;
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { flush_until_ms_ = 0; }
  void OnCompactionBegin(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override { give_way(); }

  // Any thread. Memory is full soon after a flush has begun, and group commits then wait for its end. Compactions have until
  // many more tables are there.
  bool flushing() const noexcept {
    const std::int64_t until_ms = flush_until_ms_.load(std::memory_order_relaxed);
    return until_ms > 0 && until_ms > now_ms();
  }

 private:
  // One that fails, or has nothing to do, may not say that it is through.
  static constexpr std::int64_t at_most_ms = 10'000;

  static std::int64_t now_ms() noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  // On the thread that does it, which belongs to the process and does others afterwards.
  static void give_way() noexcept {
    thread_local bool ranked = false;
    if (!std::exchange(ranked, true)) engine::rank_as_background();
  }

  std::atomic<std::int64_t> flush_until_ms_{0};
};

}  // namespace watchword::storage
