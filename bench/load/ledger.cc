#include "bench/load/ledger.h"

#include <algorithm>

namespace watchword::load {

Ledger::Ledger(std::int64_t hot_first_step, std::size_t hot_steps)
    : hot_first_step_(hot_first_step), hot_accepted_(hot_steps) {}

void Ledger::fail(std::string text) {
  failures_.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  if (told_.size() < failures_told) told_.push_back(std::move(text));
}

void Ledger::stop(std::string reason) {
  const std::lock_guard lock(mutex_);
  if (stop_reason_.empty()) stop_reason_ = std::move(reason);
  stopped_.store(true, std::memory_order_relaxed);
}

std::string Ledger::stop_reason() const {
  const std::lock_guard lock(mutex_);
  return stop_reason_;
}

std::vector<std::string> Ledger::told() const {
  const std::lock_guard lock(mutex_);
  return told_;
}

bool Ledger::accept_hot(std::int64_t step) {
  const auto at = static_cast<std::size_t>(step - hot_first_step_);
  return at >= hot_accepted_.size() || !hot_accepted_[at].exchange(true, std::memory_order_relaxed);
}

std::uint64_t guesses_allowed(const engine::Lockout& lockout, double elapsed_s) {
  std::uint64_t guesses = lockout.failures;
  double delay_s = lockout.delay_s_min;
  for (double at_s = delay_s; at_s <= elapsed_s && guesses < lockout.hard_failures; at_s += delay_s) {
    ++guesses;
    delay_s = std::min<double>(delay_s * 2, lockout.delay_s_max);
  }
  return std::min<std::uint64_t>(guesses, lockout.hard_failures);
}

}  // namespace watchword::load
