#include "engine/secret_arena.h"

#include <openssl/crypto.h>
#include <sys/mman.h>

#include <cassert>
#include <cstdint>
#include <cstring>
#include <new>

#include "engine/mapped_memory.h"

namespace watchword::engine {

// Stands at the begin of its memory, which begins at a multiple of slab_bytes.
struct SecretArena::Slab {
  Slab* next;
  Slab* previous;
  void* free;           // blocks that were given back; each one's first word links to the next
  std::uint16_t fresh;  // from here on nothing was ever given
  std::uint16_t grains;
  std::uint32_t live;

  bool full() const { return free == nullptr && fresh + grains * grain_bytes > slab_bytes; }
};

SecretArena::~SecretArena() {
  for (const Chunk& chunk : chunks_) {
    OPENSSL_cleanse(chunk.memory, chunk.bytes);
    unmap_memory(chunk.memory, chunk.bytes);
  }
}

void SecretArena::map_chunk(std::size_t bytes) {
  chunks_.reserve(chunks_.size() + 1);
  void* const memory = map_memory(bytes, bytes < huge_page_bytes ? slab_bytes : huge_page_bytes);
  madvise(memory, bytes, MADV_DONTDUMP);
  if (locked_ && mlock(memory, bytes) != 0) locked_ = false;
  chunks_.push_back({memory, bytes});
  next_ = static_cast<unsigned char*>(memory);
  left_bytes_ = bytes;
}

void SecretArena::link(Slab* slab) noexcept {
  Slab*& first = with_room_[slab->grains];
  slab->previous = nullptr;
  slab->next = first;
  if (first != nullptr) first->previous = slab;
  first = slab;
}

void SecretArena::unlink(Slab* slab) noexcept {
  if (slab->next != nullptr) slab->next->previous = slab->previous;
  (slab->previous != nullptr ? slab->previous->next : with_room_[slab->grains]) = slab->next;
}

SecretArena::Slab* SecretArena::open_slab(std::size_t grains) {
  void* memory = empty_;
  if (empty_ != nullptr) {
    empty_ = empty_->next;
  } else {
    if (left_bytes_ < slab_bytes) map_chunk(chunks_.size() < small_chunks ? small_chunk_bytes : huge_page_bytes);
    memory = next_;
    next_ += slab_bytes;
    left_bytes_ -= slab_bytes;
  }
  static_assert(sizeof(Slab) % grain_bytes == 0 && sizeof(Slab) + block_bytes_max * 2 <= slab_bytes);
  auto* const slab = new (memory) Slab{.next = nullptr,
                                       .previous = nullptr,
                                       .free = nullptr,
                                       .fresh = sizeof(Slab),
                                       .grains = static_cast<std::uint16_t>(grains),
                                       .live = 0};
  link(slab);
  used_bytes_ += slab_bytes;
  return slab;
}

void* SecretArena::take_piece(std::size_t bytes) {
  assert(bytes % slab_bytes == 0 && bytes <= huge_page_bytes);
  if (left_bytes_ < bytes) {
    unsigned char* const rest = next_;
    const std::size_t rest_bytes = left_bytes_;
    map_chunk(huge_page_bytes);
    // What is left of the chunk before is for slabs to come.
    for (std::size_t at = 0; at < rest_bytes; at += slab_bytes) {
      empty_ =
          new (rest + at) Slab{.next = empty_, .previous = nullptr, .free = nullptr, .fresh = 0, .grains = 0, .live = 0};
    }
  }
  void* const piece = next_;
  next_ += bytes;
  left_bytes_ -= bytes;
  used_bytes_ += bytes;
  return piece;
}

void* SecretArena::allocate(std::size_t bytes) {
  const std::size_t grains = taken(bytes) / grain_bytes;
  if (grains >= with_room_.size()) throw std::bad_alloc();
  Slab* const slab = with_room_[grains] != nullptr ? with_room_[grains] : open_slab(grains);
  void* block = slab->free;
  if (block != nullptr) {
    std::memcpy(&slab->free, block, sizeof(void*));
  } else {
    block = reinterpret_cast<unsigned char*>(slab) + slab->fresh;
    slab->fresh = static_cast<std::uint16_t>(slab->fresh + grains * grain_bytes);
  }
  ++slab->live;
  if (slab->full()) unlink(slab);
  return block;
}

void SecretArena::release(void* block, std::size_t bytes) noexcept {
  auto* const slab = reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(block) / slab_bytes * slab_bytes);
  assert(taken(bytes) == slab->grains * grain_bytes);
  OPENSSL_cleanse(block, taken(bytes));
  const bool was_full = slab->full();
  std::memcpy(block, &slab->free, sizeof(void*));
  slab->free = block;
  if (--slab->live > 0) {
    if (was_full) link(slab);
    return;
  }
  if (!was_full) unlink(slab);
  slab->next = empty_;
  empty_ = slab;
  used_bytes_ -= slab_bytes;
}

}  // namespace watchword::engine
