// Memory for the one handler of a kind that a connection has waiting at a time: waiting costs no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace watchword::api {

class HandlerMemory {
 public:
  HandlerMemory() = default;
  HandlerMemory(const HandlerMemory&) = delete;
  HandlerMemory& operator=(const HandlerMemory&) = delete;

  void* take(std::size_t bytes) {
    if (taken_ || bytes > bytes_.size()) return ::operator new(bytes);
    taken_ = true;
    return bytes_.data();
  }
  void give_back(void* memory) noexcept {
    if (memory == bytes_.data()) {
      taken_ = false;
    } else {
      ::operator delete(memory);
    }
  }

 private:
  alignas(std::max_align_t) std::array<std::byte, 192> bytes_;
  bool taken_ = false;
};

// The allocator that Asio asks for a handler's memory.
template <class T>
class HandlerAllocator {
 public:
  using value_type = T;
  explicit HandlerAllocator(HandlerMemory& memory) noexcept : memory_(&memory) {}
  template <class U>
  HandlerAllocator(const HandlerAllocator<U>& other) noexcept : memory_(other.memory_) {}
  bool operator==(const HandlerAllocator&) const noexcept = default;
  T* allocate(std::size_t count) { return static_cast<T*>(memory_->take(sizeof(T) * count)); }
  void deallocate(T* at, std::size_t) noexcept { memory_->give_back(at); }

 private:
  template <class U>
  friend class HandlerAllocator;
  HandlerMemory* memory_;
};

}  // namespace watchword::api
