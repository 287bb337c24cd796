// Memory for blocks that hold key states: locked pages that core dumps leave out, wiped when freed. Not thread-safe: its
// owner (one shard of the directory) holds a lock around every call.
//
// A slab gives blocks of one size. When its last block is freed it serves any size again, so memory follows the blocks that
// are there, however their sizes shift over time. It is never given back to the system.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace watchword::engine {

class SecretArena {
 public:
  static constexpr std::size_t block_bytes_max = 8160;

  SecretArena() = default;
  ~SecretArena();
  SecretArena(const SecretArena&) = delete;
  SecretArena& operator=(const SecretArena&) = delete;

  // 16-byte aligned, not zeroed, at most block_bytes_max. Throws std::bad_alloc.
  void* allocate(std::size_t bytes);
  void release(void* block, std::size_t bytes) noexcept;
  // Zeroed memory for the owner to divide, kept as long as the arena. `bytes`: a multiple of the size of a slab, at most
  // a huge page. Throws std::bad_alloc.
  void* take_piece(std::size_t bytes);

  // What a block of so many bytes takes.
  static constexpr std::size_t taken(std::size_t bytes) { return (bytes + grain_bytes - 1) / grain_bytes * grain_bytes; }
  std::size_t slab_bytes_used() const { return used_bytes_; }  // slabs that hold a block, and pieces
  // False once the system refused to lock pages (RLIMIT_MEMLOCK); they are still left out of core dumps.
  bool locked() const { return locked_; }

 private:
  static constexpr std::size_t slab_bytes = 16 * 1024;
  // The first chunks are small, so that an empty shard costs little; later ones are huge pages.
  static constexpr std::size_t small_chunk_bytes = 4 * slab_bytes;
  static constexpr std::size_t small_chunks = 4;
  static constexpr std::size_t grain_bytes = 16;
  struct Slab;
  struct Chunk {
    void* memory;
    std::size_t bytes;
  };
  void map_chunk(std::size_t bytes);
  Slab* open_slab(std::size_t grains);
  void link(Slab* slab) noexcept;
  void unlink(Slab* slab) noexcept;

  std::vector<Chunk> chunks_;
  std::array<Slab*, block_bytes_max / grain_bytes + 1> with_room_{};  // by size
  Slab* empty_ = nullptr;
  unsigned char* next_ = nullptr;  // of the last chunk, what was never a slab
  std::size_t left_bytes_ = 0;
  std::size_t used_bytes_ = 0;
  bool locked_ = true;
};

}  // namespace watchword::engine
