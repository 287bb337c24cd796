// What the journal holds and the state rows do not yet: the newest value of each cell. Not thread-safe; its owner locks.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>

#include "engine/store.h"

namespace watchword::storage {

struct CellKeyHash {
  std::size_t operator()(const engine::CellKey& key) const noexcept {
    return static_cast<std::size_t>((key.user.value * 0x9e3779b97f4a7c15) ^ (key.slot * 0xd6e8feb86659fd93));
  }
};

struct Overlay {
  struct Entry {
    engine::CellValue value;
    bool erased = false;
  };

  // In parts, each a table of its own: one table of all of them would stop whoever commits for milliseconds, each time that
  // it moves into one of twice its size.
  class Cells {
   public:
    using Part = boost::unordered_flat_map<engine::CellKey, Entry, CellKeyHash>;

    Entry& at(const engine::CellKey& key) {
      const auto [found, added] = parts_[part_of(key)].try_emplace(key);
      size_ += added ? 1 : 0;
      return found->second;
    }
    // Null: it is not there.
    const Entry* find(const engine::CellKey& key) const {
      const Part& part = parts_[part_of(key)];
      const auto found = part.find(key);
      return found == part.end() ? nullptr : &found->second;
    }
    template <typename Visit>
    void for_each(Visit&& visit) const {
      for (const Part& part : parts_) {
        for (const auto& [key, entry] : part) visit(key, entry);
      }
    }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    // Keeps its memory: what comes next is as much.
    void clear() {
      for (Part& part : parts_) part.clear();
      size_ = 0;
    }

   private:
    static constexpr int part_bits = 8;
    // A part mixes all bits again before it looks at them.
    static std::size_t part_of(const engine::CellKey& key) { return CellKeyHash{}(key) >> (64 - part_bits); }

    std::array<Part, std::size_t{1} << part_bits> parts_;
    std::size_t size_ = 0;
  };
  Cells cells;
  boost::unordered_flat_set<std::uint64_t> erased_users;

  void write(const engine::CellWrite& write) {
    Entry& entry = cells.at(write.key);
    // Keys are never used twice, so what was erased stays erased.
    if (!entry.erased) entry.value = engine::newer(write.key.slot, entry.value, write.value);
  }
  void erase(engine::CellKey key) { cells.at(key).erased = true; }
  void erase_user(engine::UserNumber number) { erased_users.insert(number.value); }
  bool empty() const { return cells.empty() && erased_users.empty(); }
  void clear() {
    cells.clear();
    erased_users.clear();
  }
  // Lays this overlay's value of the cell over what is known so far.
  void lay_over(engine::CellKey key, engine::CellValue& known) const {
    const Entry* const entry = cells.find(key);
    if (entry != nullptr && !entry->erased) known = engine::newer(key.slot, known, entry->value);
  }
};

}  // namespace watchword::storage
