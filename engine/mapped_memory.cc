#include "engine/mapped_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace watchword::engine {
namespace {

constexpr std::size_t page_bytes = 4096;

constexpr std::size_t half_bytes = huge_page_bytes / 2;

void* map_aligned(std::size_t bytes, std::size_t alignment) {
  // More than is needed; the ends are given back.
  const std::size_t mapped = bytes + alignment;
  void* const memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t aligned = (begin + alignment - 1) / alignment * alignment;
  if (aligned > begin) munmap(memory, aligned - begin);
  if (begin + mapped > aligned + bytes) munmap(reinterpret_cast<void*>(aligned + bytes), begin + mapped - aligned - bytes);
  if (bytes >= huge_page_bytes) madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

// Halves of huge pages. A page whose halves are both free goes back to the system.
class HalfPages {
 public:
  void* take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      free_.reserve(1);
      auto* const page = static_cast<unsigned char*>(map_aligned(huge_page_bytes, huge_page_bytes));
      free_.push_back(page + half_bytes);
      return page;
    }
    void* const half = free_.back();
    free_.pop_back();
    std::memset(half, 0, half_bytes);
    return half;
  }

  void give_back(void* half) noexcept {
    const std::lock_guard lock(mutex_);
    const auto other = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(half) ^ half_bytes);
    if (const auto at = std::find(free_.begin(), free_.end(), other); at != free_.end()) {
      free_.erase(at);
      munmap(std::min(half, other), huge_page_bytes);
      return;
    }
    try {
      free_.push_back(half);
    } catch (const std::bad_alloc&) {
      madvise(half, half_bytes, MADV_DONTNEED);
    }
  }

 private:
  std::mutex mutex_;
  std::vector<void*> free_;
};

HalfPages& half_pages() {
  static HalfPages& pages = *new HalfPages;  // outlives whoever gives back at the end
  return pages;
}

}  // namespace

void* map_memory(std::size_t bytes, std::size_t alignment) {
  if (bytes == half_bytes && alignment <= half_bytes) return half_pages().take();
  return map_aligned((bytes + page_bytes - 1) / page_bytes * page_bytes, alignment);
}

void unmap_memory(void* memory, std::size_t bytes) noexcept {
  if (bytes == half_bytes) return half_pages().give_back(memory);
  munmap(memory, bytes);
}

}  // namespace watchword::engine
