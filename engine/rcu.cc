#include "engine/rcu.h"

#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-memb.h>

#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace watchword::engine {
namespace {
#if defined(__SANITIZE_THREAD__)
// The barriers of liburcu are invisible to the race detector; these say the same thing in its words.
char grace_period;
void reader_leaves() {
  __tsan_release(&grace_period);
}
void readers_left() {
  __tsan_acquire(&grace_period);
}
#else
void reader_leaves() {}
void readers_left() {}
#endif
}  // namespace

RcuThread::RcuThread() {
  urcu_memb_register_thread();
}
RcuThread::~RcuThread() {
  urcu_memb_unregister_thread();
}

ReadScope::ReadScope() noexcept {
  urcu_memb_read_lock();
}
ReadScope::~ReadScope() {
  reader_leaves();
  urcu_memb_read_unlock();
}

void wait_for_readers() {
  urcu_memb_synchronize_rcu();
  readers_left();
}

}  // namespace watchword::engine
