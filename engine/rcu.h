// Safe reclamation, after Userspace RCU (the membarrier flavour): readers pay two plain stores, no barrier, no system call.
#pragma once

namespace watchword::engine {

// A thread that reads the directory or the policy keeps one of these for its life.
class RcuThread {
 public:
  RcuThread();
  ~RcuThread();
  RcuThread(const RcuThread&) = delete;
  RcuThread& operator=(const RcuThread&) = delete;
};

// Everything reached through a published pointer stays alive until the scope ends. May nest. Never block in one.
class ReadScope {
 public:
  ReadScope() noexcept;
  ~ReadScope();
  ReadScope(const ReadScope&) = delete;
  ReadScope& operator=(const ReadScope&) = delete;
};

// Returns when every read scope that was open at the call has ended. Not inside a read scope.
void wait_for_readers();

}  // namespace watchword::engine
