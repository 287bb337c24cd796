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

  std::size_t mapped_bytes() const { return chunks_.size() * chunk_bytes; }
  // False once the system refused to lock pages (RLIMIT_MEMLOCK); they are still left out of core dumps.
  bool locked() const { return locked_; }

 private:
  static constexpr std::size_t chunk_bytes = 256 * 1024;
  static constexpr std::size_t grain_bytes = 16;
  std::vector<void*> chunks_;
  std::array<void*, block_bytes_max / grain_bytes + 1> free_{};  // by size; each block's first word links to the next
  unsigned char* next_ = nullptr;
  std::size_t left_bytes_ = 0;
  bool locked_ = true;
};

}  // namespace watchword::engine
