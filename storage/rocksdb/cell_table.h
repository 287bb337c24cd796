// The newest value of each of many cells, in memory: what an overlay is made of. Not thread-safe; its owner locks.
//
// A table of our own, since whoever commits puts some hundred cells in at once that are anywhere in 50 MB: prefetch() has
// their memory on its way, which no library's table offers. In parts, each a table of its own: one table of all cells would
// stop whoever commits for milliseconds, each time that it moves into one of twice its size.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "engine/store.h"

namespace watchword::storage {

class CellTable {
 public:
  struct Entry {
    engine::CellValue value;
    bool erased = false;
  };

  CellTable() = default;
  CellTable(CellTable&& other) noexcept { swap(other); }
  CellTable& operator=(CellTable&& other) noexcept {
    swap(other);
    return *this;
  }

  // What write() of this cell will look at. A dozen cells ahead is soon enough.
  void prefetch(const engine::CellKey& key) const noexcept {
    const Place place = place_of(key);
    const Part& part = parts_[place.part];
    if (part.slots) __builtin_prefetch(&part.slots[place.at & part.mask], 1);
  }
  // The newer of the value held and this one. Keys are never used twice, so what was erased stays erased.
  void write(const engine::CellWrite& write) {
    Slot& slot = slot_of(write.key);
    if (slot.erased) return;
    slot.value = engine::newer(write.key.slot, slot.value, write.value);
  }
  void erase(const engine::CellKey& key) { slot_of(key).erased = true; }

  std::optional<Entry> find(const engine::CellKey& key) const noexcept {
    const Place place = place_of(key);
    const Part& part = parts_[place.part];
    if (!part.slots) return std::nullopt;
    const Slot& slot = part.search(key, place.at, fill_);
    if (slot.fill != fill_) return std::nullopt;
    return slot.entry();
  }
  // visit(key, entry), each cell once, in no order; between_parts() now and then, also where there are few cells in much
  // memory.
  template <typename Visit, typename BetweenParts>
  void for_each(Visit&& visit, BetweenParts&& between_parts) const {
    for (const Part& part : parts_) {
      for (std::size_t i = 0; part.count > 0 && i < part.capacity(); ++i) {
        const Slot& slot = part.slots[i];
        if (slot.fill == fill_) visit(slot.key(), slot.entry());
      }
      between_parts();
    }
  }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for_each(std::forward<Visit>(visit), [] {});
  }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // Touches no cell, and keeps the memory, since what comes next is as much; but not that of a part which is large for what
  // it held.
  void clear() noexcept {
    const bool through = fill_ == fill_max;
    for (Part& part : parts_) {
      if (through || part.capacity() > Part::wasteful * (part.count + Part::capacity_min)) part = {};
      part.count = 0;
    }
    fill_ = through ? 1 : fill_ + 1;
    size_ = 0;
  }

  // For tests: slots in all, cells of the fullest part, slots that the longest search looks at.
  struct Shape {
    std::size_t capacity = 0, fullest = 0, probes = 0;
  };
  Shape shape() const noexcept {
    Shape shape;
    for (const Part& part : parts_) {
      shape.capacity += part.capacity();
      shape.fullest = std::max(shape.fullest, part.count);
    }
    for_each([&](const engine::CellKey& key, const Entry&) {
      const Place place = place_of(key);
      const Part& part = parts_[place.part];
      const auto found = static_cast<std::size_t>(&part.search(key, place.at, fill_) - part.slots.get());
      shape.probes = std::max(shape.probes, ((found - place.at) & part.mask) + 1);
    });
    return shape;
  }

 private:
  using Fill = std::uint32_t;  // how often the table was filled anew: a slot of another fill is free
  static constexpr int fill_bits = 31;
  static constexpr Fill fill_max = (Fill{1} << fill_bits) - 1;
  struct alignas(32) Slot {  // two of them a line, and none in two lines
    std::uint64_t user = 0;
    std::uint32_t slot = 0;
    Fill fill : fill_bits = 0;
    Fill erased : 1 = 0;
    engine::CellValue value;

    bool is(const engine::CellKey& key) const noexcept { return user == key.user.value && slot == key.slot; }
    engine::CellKey key() const noexcept { return {{user}, slot}; }
    Entry entry() const noexcept { return {.value = value, .erased = erased != 0}; }
  };
  static_assert(sizeof(Slot) == 32);

  static constexpr int part_bits = 8;
  static constexpr std::size_t part_count = std::size_t{1} << part_bits;

  // Open addressing, linear, never more than three quarters full.
  struct Part {
    static constexpr std::size_t capacity_min = 64, wasteful = 16;
    std::unique_ptr<Slot[]> slots;
    std::size_t mask = 0;  // capacity - 1
    std::size_t count = 0;

    std::size_t capacity() const noexcept { return slots ? mask + 1 : 0; }
    // Each of the parts at another point between a half and three quarters: they fill alike, and if all of them grew at
    // once, whoever commits would be stopped for as long as one table of all cells stops him.
    bool full(std::size_t part) const noexcept {
      return 4 * part_count * (count + 1) > (2 * part_count + part) * capacity();
    }
    // The cell's slot, or the free one where it belongs.
    Slot& search(const engine::CellKey& key, std::size_t at, Fill fill) const noexcept {
      for (;; ++at) {
        Slot& slot = slots[at & mask];
        if (slot.fill != fill || slot.is(key)) return slot;
      }
    }
    void grow(Fill fill) {
      const std::size_t wanted = slots ? 2 * capacity() : capacity_min;
      Part larger{.slots = std::make_unique<Slot[]>(wanted), .mask = wanted - 1, .count = count};
      for (std::size_t i = 0; i < capacity(); ++i) {
        const Slot& slot = slots[i];
        if (slot.fill == fill) larger.search(slot.key(), place_of(slot.key()).at, fill) = slot;
      }
      *this = std::move(larger);
    }
  };

  struct Place {
    std::size_t part;
    std::size_t at;  // a part takes as many of the low bits as it has slots
  };
  static Place place_of(const engine::CellKey& key) noexcept {
    std::uint64_t mixed = (key.user.value ^ key.slot * 0xd6e8feb86659fd93) * 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93;
    return {.part = static_cast<std::size_t>(mixed >> (64 - part_bits)), .at = static_cast<std::size_t>(mixed >> 16)};
  }

  Slot& slot_of(const engine::CellKey& key) {
    const Place place = place_of(key);
    Part& part = parts_[place.part];
    if (part.full(place.part)) part.grow(fill_);
    Slot& slot = part.search(key, place.at, fill_);
    if (slot.fill != fill_) {
      slot = {};
      slot.user = key.user.value;
      slot.slot = key.slot;
      slot.fill = fill_ & fill_max;
      ++part.count;
      ++size_;
    }
    return slot;
  }

  void swap(CellTable& other) noexcept {
    std::swap(parts_, other.parts_);
    std::swap(fill_, other.fill_);
    std::swap(size_, other.size_);
  }

  std::array<Part, part_count> parts_;
  Fill fill_ = 1;
  std::size_t size_ = 0;
};

}  // namespace watchword::storage
