#include "engine/secret_arena.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <cassert>
#include <cstring>
#include <new>

namespace watchword::engine {

SecretArena::~SecretArena() {
  for (void* chunk : chunks_) {
    OPENSSL_cleanse(chunk, chunk_bytes);
    munmap(chunk, chunk_bytes);
  }
}

void* SecretArena::allocate(std::size_t bytes) {
  const std::size_t grains = (bytes + grain_bytes - 1) / grain_bytes;
  if (grains >= free_.size()) throw std::bad_alloc();
  if (void* block = free_[grains]) {
    std::memcpy(&free_[grains], block, sizeof(void*));
    return block;
  }
  const std::size_t rounded = grains * grain_bytes;
  if (left_bytes_ < rounded) {
    void* chunk = mmap(nullptr, chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) throw std::bad_alloc();
    madvise(chunk, chunk_bytes, MADV_DONTDUMP);
    if (locked_ && mlock(chunk, chunk_bytes) != 0) locked_ = false;
    chunks_.push_back(chunk);
    next_ = static_cast<unsigned char*>(chunk);
    left_bytes_ = chunk_bytes;
  }
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
