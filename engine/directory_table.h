// One shard's table of users: open addressing over slots of 8 bytes, bits 48-63 a tag from the hash, bits 0-47 the block's
// address. Written under the shard's lock, read by anyone inside a read scope.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/resident_user.h"

namespace watchword::engine {

class DirectoryTable {
 public:
  static constexpr std::size_t first_capacity = 64;

  explicit DirectoryTable(std::size_t capacity);  // a power of two
  ~DirectoryTable();
  DirectoryTable(const DirectoryTable&) = delete;
  DirectoryTable& operator=(const DirectoryTable&) = delete;

  // Of the table that follows one of `capacity`.
  static std::size_t next_capacity(std::size_t capacity) noexcept;

  static constexpr std::size_t npos = ~std::size_t{0};
  struct Found {
    ResidentUser* user = nullptr;
    std::size_t at = npos;
  };
  Found find(std::string_view name, std::uint64_t hash) const noexcept;
  ResidentUser* at(std::size_t slot) const noexcept;
  void prefetch(std::uint64_t hash) const noexcept;
  void prefetch_user(std::uint64_t hash) const noexcept;

  // Writers.
  void insert(ResidentUser* user, std::uint64_t hash) noexcept;  // not there yet; full() has said no
  void replace(std::size_t slot, ResidentUser* user, std::uint64_t hash) noexcept;
  void erase(std::size_t slot) noexcept;
  bool full() const noexcept { return (taken_ + 1) * 10 > capacity() * 7; }
  void copy_to(DirectoryTable& other) const noexcept;

  std::size_t capacity() const noexcept { return mask_ + 1; }
  std::size_t bytes() const noexcept { return capacity() * sizeof(std::uint64_t); }

 private:
  using Slot = std::atomic_ref<std::uint64_t>;
  Slot slot(std::size_t at) const noexcept { return Slot(slots_[at & mask_]); }

  const std::size_t mask_;
  std::uint64_t* const slots_;
  std::size_t taken_ = 0;  // live and erased ones
};

}  // namespace watchword::engine
