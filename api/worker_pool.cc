#include "api/worker_pool.h"

#include <algorithm>
#include <utility>

#include "engine/rcu.h"
#include "engine/thread_rank.h"

namespace watchword::api {

WorkerPool::WorkerPool(unsigned threads, std::size_t queue_max, Rank rank)
    : thread_count_(std::max(1U, threads)), rank_(rank), queue_max_(std::max<std::size_t>(1, queue_max)) {}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::start() {
  for (unsigned i = 0; i < thread_count_; ++i) threads_.emplace_back([this] { run(); });
}

bool WorkerPool::submit(std::unique_ptr<Job>& job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= queue_max_) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

std::size_t WorkerPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void WorkerPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerPool::run() {
  const engine::RcuThread registered;
  if (rank_ == Rank::patient) engine::rank_as_patient();
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    Job* const one = job.get();
    one->run(std::move(job));
  }
}

}  // namespace watchword::api
