// Anonymous memory of the process's own: large pieces in huge pages, which spare most of the look-ups in the page tables
// that random users would cost. Two pieces of half a huge page share one. Thread-safe.
#pragma once

#include <cstddef>

namespace watchword::engine {

inline constexpr std::size_t huge_page_bytes = 2 * 1024 * 1024;

// For unmap_memory, with the same size. Zeroed, beginning at a multiple of `alignment` (a power of two, a multiple of the
// page size). Throws std::bad_alloc.
void* map_memory(std::size_t bytes, std::size_t alignment);
void unmap_memory(void* memory, std::size_t bytes) noexcept;

}  // namespace watchword::engine
