// What the journal holds and the state rows do not yet: the newest value of each cell. Not thread-safe; its owner locks.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/store.h"
#include "storage/rocksdb/cell_table.h"

namespace watchword::storage {

struct Overlay {
  using Entry = CellTable::Entry;
  CellTable cells;
  boost::unordered_flat_set<std::uint64_t> erased_users;

  void write(const engine::CellWrite& write) { cells.write(write); }
  void write(std::span<const engine::CellWrite> writes) {
    constexpr std::size_t ahead = 12;
    for (std::size_t i = 0; i < writes.size() && i < ahead; ++i) cells.prefetch(writes[i].key);
    for (std::size_t i = 0; i < writes.size(); ++i) {
      if (i + ahead < writes.size()) cells.prefetch(writes[i + ahead].key);
      cells.write(writes[i]);
    }
  }
  void erase(engine::CellKey key) { cells.erase(key); }
  void erase_user(engine::UserNumber number) { erased_users.insert(number.value); }
  bool empty() const { return cells.empty() && erased_users.empty(); }
  void clear() {
    cells.clear();
    erased_users.clear();
  }
  // Lays this overlay's value of the cell over what is known so far.
  void lay_over(engine::CellKey key, engine::CellValue& known) const {
    const std::optional<Entry> entry = cells.find(key);
    if (entry && !entry->erased) known = engine::newer(key.slot, known, entry->value);
  }
};

}  // namespace watchword::storage
