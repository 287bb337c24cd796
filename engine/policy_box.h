// The one published policy. Readers hold a reference inside a directory read scope only; a replaced policy is freed after
// the last such scope has ended.
#pragma once

#include <atomic>
#include <memory>

#include "engine/policy.h"

namespace watchword::engine {

class PolicyBox {
 public:
  explicit PolicyBox(Policy policy);
  ~PolicyBox();
  PolicyBox(const PolicyBox&) = delete;
  PolicyBox& operator=(const PolicyBox&) = delete;

  // Valid until the surrounding ReadScope ends. Written by replace() only; acquire pairs with its release.
  const Policy& current() const noexcept { return *policy_.load(std::memory_order_acquire); }
  // A copy; takes a read scope of its own. Any registered thread.
  Policy copy() const;
  // In force for every later read scope on every thread. Waits until no reader holds the old one: not on an event loop.
  void replace(Policy policy);

 private:
  std::atomic<const Policy*> policy_;
};

}  // namespace watchword::engine
