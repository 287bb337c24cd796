#include "engine/secret_arena.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <cassert>
#include <cstdint>
#include <cstring>
#include <new>

namespace watchword::engine {

SecretArena::~SecretArena() {
  for (const Chunk& chunk : chunks_) {
    OPENSSL_cleanse(chunk.memory, chunk.bytes);
    munmap(chunk.memory, chunk.bytes);
  }
}

void SecretArena::map_chunk() {
  const bool small = chunks_.size() < small_chunks;
  const std::size_t bytes = small ? small_chunk_bytes : chunk_bytes;
  // A huge page must begin at a multiple of its size: map twice as much and give the ends back.
  const std::size_t mapped = small ? bytes : 2 * bytes;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  if (!small) {
    const auto begin = reinterpret_cast<std::uintptr_t>(memory);
    const std::uintptr_t aligned = (begin + bytes - 1) / bytes * bytes;
    if (aligned > begin) munmap(memory, aligned - begin);
    if (begin + mapped > aligned + bytes) munmap(reinterpret_cast<void*>(aligned + bytes), begin + mapped - aligned - bytes);
    memory = reinterpret_cast<void*>(aligned);
    madvise(memory, bytes, MADV_HUGEPAGE);
  }
  madvise(memory, bytes, MADV_DONTDUMP);
  if (locked_ && mlock(memory, bytes) != 0) locked_ = false;
  chunks_.push_back({memory, bytes});
  mapped_bytes_ += bytes;
  next_ = static_cast<unsigned char*>(memory);
  left_bytes_ = bytes;
}

void* SecretArena::allocate(std::size_t bytes) {
  const std::size_t grains = (bytes + grain_bytes - 1) / grain_bytes;
  if (grains >= free_.size()) throw std::bad_alloc();
  if (void* block = free_[grains]) {
    std::memcpy(&free_[grains], block, sizeof(void*));
    return block;
  }
  const std::size_t rounded = grains * grain_bytes;
  if (left_bytes_ < rounded) map_chunk();
  void* block = next_;
  next_ += rounded;
  left_bytes_ -= rounded;
  return block;
}

void SecretArena::release(void* block, std::size_t bytes) noexcept {
  const std::size_t grains = (bytes + grain_bytes - 1) / grain_bytes;
  assert(grains < free_.size());
  OPENSSL_cleanse(block, grains * grain_bytes);
  std::memcpy(block, &free_[grains], sizeof(void*));
  free_[grains] = block;
}

}  // namespace watchword::engine
