// One shard's table of users: open addressing over slots of 8 bytes, line by line; bits 48-63 a tag from the hash, bits 0-47
// the block's address. Written under the shard's lock, read by anyone inside a read scope.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "engine/resident_user.h"
#include "engine/user_hash.h"

namespace watchword::engine {

namespace directory_slots {

constexpr std::uint64_t empty_slot = 0;
constexpr std::uint64_t erased_slot = 1;
constexpr int tag_shift = 48;
constexpr std::uint64_t address_mask = (std::uint64_t{1} << tag_shift) - 1;

inline ResidentUser* user_of(std::uint64_t value) {
  return reinterpret_cast<ResidentUser*>(value & address_mask);
}
inline bool tag_matches(std::uint64_t value, std::uint64_t hash) {
  return value > erased_slot && (value >> tag_shift) == (hash >> tag_shift);
}
constexpr std::size_t slots_per_line = 64 / sizeof(std::uint64_t);

// The first slot of the line that a search for the hash begins with; the next line follows where all of it is taken. So
// nearly every search ends in the one line that it misses memory for.
inline std::size_t first_line(std::uint64_t hash) {
  return static_cast<std::size_t>(hash >> 4) & ~(slots_per_line - 1);  // the low bits chose the shard
}

// Bit i: slot i of the line has the hash's tag, or had it a moment ago. No branch depends on where in the line that is.
// Plain loads: on x86 each aligned half of one is read whole, and what is found is read again as what it is, an atomic.
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
inline std::uint32_t with_tag(const std::uint64_t* line, std::uint64_t hash) {
  const auto* const slots = reinterpret_cast<const __m128*>(line);
  const __m128i tag = _mm_set1_epi32(static_cast<int>(hash >> tag_shift));
  // Of each slot the upper half, of that the upper half.
  const auto equal = [&](std::size_t at) {
    const __m128i upper = _mm_castps_si128(_mm_shuffle_ps(slots[at], slots[at + 1], 0xdd));
    return _mm_cmpeq_epi32(_mm_srli_epi32(upper, tag_shift - 32), tag);
  };
  const __m128i words = _mm_packs_epi32(equal(0), equal(2));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())));
}
#else
inline std::uint32_t with_tag(std::uint64_t* line, std::uint64_t hash) {
  std::uint32_t found = 0;
  for (std::size_t i = 0; i < slots_per_line; ++i) {
    const std::uint64_t value = std::atomic_ref(line[i]).load(std::memory_order_relaxed);
    found |= static_cast<std::uint32_t>((value >> tag_shift) == (hash >> tag_shift)) << i;
  }
  return found;
}
#endif

// Header and device, which a verification writes, and the key states, which it reads.
inline void prefetch_block(const ResidentUser* user) {
  const char* const block = reinterpret_cast<const char*>(user);
  __builtin_prefetch(block, 1);
  __builtin_prefetch(block + 64, 1);
  __builtin_prefetch(block + 128);
}

}  // namespace directory_slots

class DirectoryTable {
 public:
  static constexpr std::size_t first_capacity = 64;

  explicit DirectoryTable(std::size_t capacity);  // a power of two
  ~DirectoryTable();
  DirectoryTable(const DirectoryTable&) = delete;
  DirectoryTable& operator=(const DirectoryTable&) = delete;

  static constexpr std::size_t npos = ~std::size_t{0};
  struct Found {
    ResidentUser* user = nullptr;
    std::size_t at = npos;
  };
  Found find(std::string_view name, std::uint64_t hash) const noexcept;
  ResidentUser* at(std::size_t slot) const noexcept;
  // Of the user's hash the upper 16 bits, the others zero.
  std::uint64_t upper_hash_at(std::size_t slot) const noexcept;
  void prefetch(std::uint64_t hash) const noexcept;
  ResidentUser* prefetch_user(std::uint64_t hash) const noexcept;  // the first whose tag fits

  // Writers.
  void insert(ResidentUser* user, std::uint64_t hash) noexcept;  // not there yet; full() has said no
  void replace(std::size_t slot, ResidentUser* user, std::uint64_t hash) noexcept;
  void erase(std::size_t slot) noexcept;
  bool full() const noexcept { return (taken_ + 1) * 10 > capacity() * 7; }
  void copy_to(DirectoryTable& other) const noexcept;

  std::size_t capacity() const noexcept { return mask_ + 1; }
  std::size_t bytes() const noexcept { return capacity() * sizeof(std::uint64_t); }

 private:
  template <class Wanted>
  void search(std::uint64_t hash, Wanted wanted) const noexcept;
  using Slot = std::atomic_ref<std::uint64_t>;
  Slot slot(std::size_t at) const noexcept { return Slot(slots_[at & mask_]); }

  const std::size_t mask_;
  std::uint64_t* const slots_;
  std::size_t taken_ = 0;  // live and erased ones
};

// Calls `wanted(user, slot)` for those whose tag is the hash's, until it says true.
template <class Wanted>
void DirectoryTable::search(std::uint64_t hash, Wanted wanted) const noexcept {
  using namespace directory_slots;
  for (std::size_t line = first_line(hash);; line += slots_per_line) {
    for (std::uint32_t left = with_tag(slots_ + (line & mask_), hash); left != 0; left &= left - 1) {
      const std::size_t at = (line & mask_) + static_cast<std::size_t>(std::countr_zero(left));
      const std::uint64_t value = slot(at).load(std::memory_order_acquire);
      if (tag_matches(value, hash) && wanted(user_of(value), at)) return;
    }
    for (std::size_t i = 0; i < slots_per_line; ++i) {
      if (slot(line + i).load(std::memory_order_relaxed) == empty_slot) return;
    }
  }
}

inline DirectoryTable::Found DirectoryTable::find(std::string_view name, std::uint64_t hash) const noexcept {
  Found found;
  search(hash, [&](ResidentUser* user, std::size_t at) {
    // The block's lines come from memory side by side instead of one after another.
    directory_slots::prefetch_block(user);
    if (!same_name(user->name(), name)) return false;
    found = {user, at};
    return true;
  });
  return found;
}

inline void DirectoryTable::prefetch(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&slots_[directory_slots::first_line(hash) & mask_]);
}

inline ResidentUser* DirectoryTable::prefetch_user(std::uint64_t hash) const noexcept {
  ResidentUser* first = nullptr;
  search(hash, [&](ResidentUser* user, std::size_t) {
    directory_slots::prefetch_block(user);
    first = user;
    return true;
  });
  return first;
}

}  // namespace watchword::engine
