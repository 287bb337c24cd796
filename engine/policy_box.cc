#include "engine/policy_box.h"

#include <utility>

#include "engine/rcu.h"

namespace watchword::engine {

PolicyBox::PolicyBox(Policy policy) : policy_(new Policy(std::move(policy))) {}

PolicyBox::~PolicyBox() {
  delete policy_.load(std::memory_order_acquire);
}

Policy PolicyBox::copy() const {
  const ReadScope scope;
  return current();
}

void PolicyBox::replace(Policy policy) {
  const Policy* old = policy_.exchange(new Policy(std::move(policy)), std::memory_order_acq_rel);
  wait_for_readers();
  delete old;
}

}  // namespace watchword::engine
