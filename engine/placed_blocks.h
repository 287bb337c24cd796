// Places of one size for the blocks of users, four of which each user's hash chooses as their home. A look-up fetches these
// while it still fetches the table's slot: whose block is at home misses memory once instead of twice. The table alone says
// where a block is; a home is no more than likely. Nine places of ten are taken, nine of ten by users at home (fewer with
// hundreds of pieces, whose shares of homes differ) and the others by guests, who found theirs taken.
//
// Memory comes in pieces as users come. Hashes are spread over the pieces by buckets; a new piece takes buckets from the
// others, whose users then live elsewhere than their hash says until somebody moves them (Directory does).
//
// Not thread-safe but for prefetch(): its owner (one shard of the directory) holds a lock around every other call.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/secret_arena.h"

namespace watchword::engine {

class PlacedBlocks {
 public:
  // One device with SHA-1, and 40 bytes of names: what most people have.
  static constexpr std::size_t block_bytes = 160;
  static constexpr std::size_t piece_bytes = 512 * 1024;
  static constexpr std::size_t choices = 4;

  explicit PlacedBlocks(SecretArena& arena) : arena_(arena) {}

  // Any thread: starts the fetch of the home of the hash.
  void prefetch(std::uint64_t hash) const noexcept {
    const unsigned char* const piece = piece_of_bucket_[bucket(hash)].load(std::memory_order_relaxed);
    if (piece == nullptr) return;
    for (std::size_t choice = 0; choice < choices; ++choice) {
      const unsigned char* const block = piece + place(hash, choice) * block_bytes;
      __builtin_prefetch(block);
      __builtin_prefetch(block + 64);
      __builtin_prefetch(block + 128);
    }
  }

  // Whether more pieces are due, and how many.
  bool nearly_full() const noexcept { return live_ * 16 >= places() * 15; }
  std::size_t pieces_wanted() const noexcept { return pieces_.size() / 32 + 1; }
  bool can_grow() const noexcept { return pieces_.size() < pieces_max; }
  // Throws std::bad_alloc.
  void add_piece();

  // At home if there is a free place, else anywhere; nullptr: full. Not zeroed, 32-byte aligned.
  void* allocate(std::uint64_t hash) noexcept;
  // nullptr: no place at home is free.
  void* allocate_at_home(std::uint64_t hash) noexcept;
  // What is at one place of the home, `choice` below `choices`; nullptr: it is free.
  void* block_at_home(std::uint64_t hash, std::size_t choice) const noexcept;
  bool at_home(const void* block, std::uint64_t hash) const noexcept;
  // Whether it is in the piece that home is in, which the upper 16 bits of the hash tell.
  bool near_home(const void* block, std::uint64_t hash) const noexcept {
    const unsigned char* const piece = piece_of_bucket_[bucket(hash)].load(std::memory_order_relaxed);
    return piece != nullptr && block >= piece && block < piece + piece_bytes;
  }
  bool owns(const void* block) const noexcept { return piece_holding(block) != nullptr; }
  // Wipes it.
  void release(void* block) noexcept;

  std::size_t places() const noexcept { return pieces_.size() * places_per_piece; }
  std::size_t live() const noexcept { return live_; }

 private:
  static constexpr std::size_t places_per_piece = piece_bytes / block_bytes;
  static constexpr std::size_t buckets = 1024;
  // Each has two buckets at least.
  static constexpr std::size_t pieces_max = buckets / 2;

  struct Piece {
    unsigned char* memory;
    std::size_t buckets;
    std::bitset<places_per_piece> taken;
  };

  static std::size_t bucket(std::uint64_t hash) noexcept { return hash >> 54; }
  static std::size_t place(std::uint64_t hash, std::size_t choice) noexcept {
    constexpr std::uint64_t spread[choices] = {1, 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9};
    const std::uint64_t part = (hash * spread[choice] >> 20) & 0xffffffff;
    return (part * places_per_piece) >> 32;
  }
  std::size_t pieces_up_to(const unsigned char* address) const noexcept;
  Piece* piece_of(std::uint64_t hash) const noexcept;
  Piece* piece_holding(const void* block) const noexcept;
  void* take(Piece& piece, std::size_t place) noexcept;

  SecretArena& arena_;
  std::vector<std::unique_ptr<Piece>> pieces_;  // by address
  std::array<std::atomic<unsigned char*>, buckets> piece_of_bucket_{};
  std::size_t live_ = 0;
  std::size_t hand_ = 0;  // of the search for any free place, over all of them
};

}  // namespace watchword::engine
