#include "engine/mapped_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace watchword::engine {
namespace {

constexpr std::size_t page_bytes = 4096;

}  // namespace

void* map_memory(std::size_t wanted, std::size_t alignment) {
  const std::size_t bytes = (wanted + page_bytes - 1) / page_bytes * page_bytes;
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

void unmap_memory(void* memory, std::size_t bytes) noexcept {
  munmap(memory, bytes);
}

}  // namespace watchword::engine
