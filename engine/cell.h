// One word and the receipt of the request that made it, changed together by one 16-byte compare-and-swap.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/store.h"

namespace watchword::engine {

// Written by any verifying thread; read by any thread. All stores are compare-and-swaps with full ordering, so whoever sees
// the word sees everything that came before it.
class alignas(16) Cell {
 public:
  Cell() = default;
  explicit Cell(CellValue value) : word_(value.word), receipt_(value.receipt) {}

  std::uint64_t word() const noexcept { return __atomic_load_n(&word_, __ATOMIC_ACQUIRE); }

  // At least as new as a word that the caller has exchanged before.
  std::uint64_t receipt() const noexcept { return __atomic_load_n(&receipt_, __ATOMIC_ACQUIRE); }

  // Both halves of one value: words of one cell never repeat while their receipts differ, so an unchanged word means an
  // unchanged receipt.
  CellValue load() const noexcept {
    for (;;) {
      const std::uint64_t before = __atomic_load_n(&word_, __ATOMIC_ACQUIRE);
      const std::uint64_t receipt = __atomic_load_n(&receipt_, __ATOMIC_ACQUIRE);
      if (__atomic_load_n(&word_, __ATOMIC_ACQUIRE) == before) return {before, receipt};
    }
  }

  bool exchange_word(std::uint64_t& expected, std::uint64_t desired) noexcept {
    return __atomic_compare_exchange_n(&word_, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
  }

  // Replaces both halves if both are as expected.
  bool exchange(const CellValue& expected, const CellValue& desired) noexcept {
    const unsigned __int128 old_value = join(expected);
    const unsigned __int128 new_value = join(desired);
    return __sync_bool_compare_and_swap(reinterpret_cast<unsigned __int128*>(this), old_value, new_value);
  }

  // No transition succeeds any more; returns the last value.
  CellValue freeze() noexcept;
  // Transitions succeed again. Only by whoever froze it.
  void thaw() noexcept;

 private:
  static unsigned __int128 join(const CellValue& value) noexcept {
    return (static_cast<unsigned __int128>(value.receipt) << 64) | value.word;
  }
  std::uint64_t word_ = 0;
  std::uint64_t receipt_ = 0;
};
static_assert(sizeof(Cell) == 16 && alignof(Cell) == 16);

}  // namespace watchword::engine
