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

  // What write() of this cell will look at. A dozen cells ahead is soon enough.
  void prefetch(const engine::CellKey& key) const noexcept {
    const Place place = place_of(key);
    const Part& part = parts_[place.part];
    if (part.slots) __builtin_prefetch(&part.slots[place.at & part.mask], 1);
  }
  // The newer of the value held and this one. Keys are never used twice, so what was erased stays erased.
  void write(const engine::CellWrite& write) {
    Slot& slot = slot_of(write.key);
    if (slot.state == State::erased) return;
    slot.state = State::held;
    slot.value = engine::newer(write.key.slot, slot.value, write.value);
  }
  void erase(const engine::CellKey& key) { slot_of(key).state = State::erased; }

  std::optional<Entry> find(const engine::CellKey& key) const noexcept {
    const Place place = place_of(key);
    const Part& part = parts_[place.part];
    if (!part.slots) return std::nullopt;
    const Slot& slot = part.search(key, place.at);
    if (slot.state == State::free) return std::nullopt;
    return slot.entry();
  }
  // visit(key, entry), each cell once, in no order.
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Part& part : parts_) {
      for (std::size_t i = 0; i < part.capacity(); ++i) {
        const Slot& slot = part.slots[i];
        if (slot.state != State::free) visit(slot.key(), slot.entry());
      }
    }
  }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // How many slots the longest search looks at, for tests.
  std::size_t probes_max() const noexcept {
    std::size_t most = 0;
    for_each([&](const engine::CellKey& key, const Entry&) {
      const Place place = place_of(key);
      const Part& part = parts_[place.part];
      const auto found = static_cast<std::size_t>(&part.search(key, place.at) - part.slots.get());
      most = std::max(most, ((found - place.at) & part.mask) + 1);
    });
    return most;
  }
  // Keeps its memory: what comes next is as much.
  void clear() noexcept {
    for (Part& part : parts_) {
      for (std::size_t i = 0; i < part.capacity(); ++i) part.slots[i] = {};
      part.count = 0;
    }
    size_ = 0;
  }

 private:
  enum class State : std::uint32_t { free, held, erased };
  struct alignas(32) Slot {  // two of them a line, and none in two lines
    std::uint64_t user = 0;
    std::uint32_t slot = 0;
    State state = State::free;
    engine::CellValue value;

    bool is(const engine::CellKey& key) const noexcept { return user == key.user.value && slot == key.slot; }
    engine::CellKey key() const noexcept { return {{user}, slot}; }
    Entry entry() const noexcept { return {.value = value, .erased = state == State::erased}; }
  };
  static_assert(sizeof(Slot) == 32);

  // Open addressing, linear, never more than three quarters full.
  struct Part {
    static constexpr std::size_t capacity_min = 64;
    std::unique_ptr<Slot[]> slots;
    std::size_t mask = 0;  // capacity - 1
    std::size_t count = 0;

    std::size_t capacity() const noexcept { return slots ? mask + 1 : 0; }
    bool full() const noexcept { return 4 * (count + 1) > 3 * capacity(); }
    // The cell's slot, or the free one where it belongs.
    Slot& search(const engine::CellKey& key, std::size_t at) const noexcept {
      for (;; ++at) {
        Slot& slot = slots[at & mask];
        if (slot.state == State::free || slot.is(key)) return slot;
      }
    }
    void grow() {
      const std::size_t wanted = slots ? 2 * capacity() : capacity_min;
      Part larger{.slots = std::make_unique<Slot[]>(wanted), .mask = wanted - 1, .count = count};
      for (std::size_t i = 0; i < capacity(); ++i) {
        const Slot& slot = slots[i];
        if (slot.state != State::free) larger.search(slot.key(), place_of(slot.key()).at) = slot;
      }
      *this = std::move(larger);
    }
  };

  static constexpr int part_bits = 8;
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
    if (part.full()) part.grow();
    Slot& slot = part.search(key, place.at);
    if (slot.state == State::free) {
      slot.user = key.user.value;
      slot.slot = key.slot;
      slot.state = State::held;
      ++part.count;
      ++size_;
    }
    return slot;
  }

  std::array<Part, std::size_t{1} << part_bits> parts_;
  std::size_t size_ = 0;
};

}  // namespace watchword::storage
