// Memory for blocks that hold key states: locked pages that core dumps leave out, wiped when freed. Not thread-safe: its
// owner (one shard of the directory) holds a lock around every call.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace watchword::engine {

class SecretArena {
 public:
  static constexpr std::size_t block_bytes_max = 8192;

  SecretArena() = default;
  ~SecretArena();
  SecretArena(const SecretArena&) = delete;
  SecretArena& operator=(const SecretArena&) = delete;

  // 16-byte aligned, not zeroed, at most block_bytes_max. Throws std::bad_alloc.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes) noexcept;

  std::size_t mapped_bytes() const { return mapped_bytes_; }
  // False once the system refused to lock pages (RLIMIT_MEMLOCK); they are still left out of core dumps.
  bool locked() const { return locked_; }

 private:
  // The first chunks are small, so that an empty shard costs little; later ones are huge pages, which spare most of the
  // look-ups in the page tables that random users would cost.
  static constexpr std::size_t small_chunk_bytes = 64 * 1024;
  static constexpr std::size_t small_chunks = 32;
  static constexpr std::size_t chunk_bytes = 2 * 1024 * 1024;
  static constexpr std::size_t grain_bytes = 16;
  struct Chunk {
    void* memory;
    std::size_t bytes;
  };
  void map_chunk();
  std::vector<Chunk> chunks_;
  std::size_t mapped_bytes_ = 0;
  std::array<void*, block_bytes_max / grain_bytes + 1> free_{};  // by size; each block's first word links to the next
  unsigned char* next_ = nullptr;
  std::size_t left_bytes_ = 0;
  bool locked_ = true;
};

}  // namespace watchword::engine
