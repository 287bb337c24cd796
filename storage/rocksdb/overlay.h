// What the journal holds and the state rows do not yet: the newest value of each cell. Not thread-safe; its owner locks.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

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
  boost::unordered_flat_map<engine::CellKey, Entry, CellKeyHash> cells;
  boost::unordered_flat_set<std::uint64_t> erased_users;

  void write(const engine::CellWrite& write) {
    Entry& entry = cells[write.key];
    // Keys are never used twice, so what was erased stays erased.
    if (!entry.erased) entry.value = engine::newer(write.key.slot, entry.value, write.value);
  }
  void erase(engine::CellKey key) { cells[key].erased = true; }
  void erase_user(engine::UserNumber number) { erased_users.insert(number.value); }
  bool empty() const { return cells.empty() && erased_users.empty(); }
  void clear() {
    cells.clear();
    erased_users.clear();
  }
  // Lays this overlay's value of the cell over what is known so far.
  void lay_over(engine::CellKey key, engine::CellValue& known) const {
    const auto at = cells.find(key);
    if (at != cells.end() && !at->second.erased) known = engine::newer(key.slot, known, at->second.value);
  }
};

}  // namespace watchword::storage
