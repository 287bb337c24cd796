// What all threads of a run must agree on, and the list of what must not have happened.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/load/users.h"
#include "engine/policy.h"

namespace watchword::load {

class Ledger {
 public:
  static constexpr std::size_t failures_told = 20;

  explicit Ledger(std::int64_t hot_first_step, std::size_t hot_steps);

  // An answer that must not have been given. Names users and steps, never a code.
  void fail(std::string text);
  // The run cannot go on; the first reason is kept.
  void stop(std::string reason);
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  std::string stop_reason() const;
  std::uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }
  std::vector<std::string> told() const;

  // The hot user's code of that step was accepted. False: not for the first time.
  bool accept_hot(std::int64_t step);
  // One guess at the one attacked user was looked at.
  void count_guess() { guesses_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t guesses() const { return guesses_.load(std::memory_order_relaxed); }

 private:
  std::int64_t hot_first_step_;
  std::vector<std::atomic<bool>> hot_accepted_;
  std::atomic<std::uint64_t> guesses_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<bool> stopped_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> told_;
  std::string stop_reason_;
};

// How many guesses at one person policy lets through in so long: the free ones, and one after each delay.
std::uint64_t guesses_allowed(const engine::Lockout& lockout, double elapsed_s);

}  // namespace watchword::load
