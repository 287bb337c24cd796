// Threads for what may block: the store, mostly. A bounded queue in front of them, so that overload is said, not piled up.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace watchword::api {

class WorkerPool {
 public:
  class Job {
   public:
    virtual ~Job() = default;
    // On a worker thread, which is registered (engine::RcuThread). The job owns itself from here on, so that it can travel
    // on to where its result is wanted.
    virtual void run(std::unique_ptr<Job> self) noexcept = 0;
  };

  enum class Rank : std::uint8_t { usual, patient };
  WorkerPool(unsigned threads, std::size_t queue_max, Rank rank = Rank::usual);
  ~WorkerPool();  // stop()
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void start();
  // Any thread. False, and the job untouched, when the queue is full or the pool stopped: the caller answers 503.
  bool submit(std::unique_ptr<Job>& job);
  // Jobs that wait. Any thread.
  std::size_t waiting() const;
  std::size_t waiting_max() const { return queue_max_; }
  // Jobs that were not taken, since the start.
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // Runs what is queued, then ends the threads.
  void stop();

 private:
  void run();

  const unsigned thread_count_;
  const Rank rank_;
  const std::size_t queue_max_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;  // under mutex_
  bool stopping_ = false;                   // under mutex_
  std::atomic<std::uint64_t> refused_{0};
  std::vector<std::thread> threads_;
};

}  // namespace watchword::api
