// The users that are in memory, found without a lock. Their blocks live in locked pages that core dumps leave out, and are
// wiped when freed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/directory_table.h"
#include "engine/placed_blocks.h"
#include "engine/rcu.h"
#include "engine/resident_user.h"
#include "engine/store.h"
#include "engine/user_hash.h"
#include "engine/user_stripes.h"

namespace watchword::engine {

class Directory {
 public:
  static constexpr std::size_t shard_count = 16;
  Directory();
  ~Directory();

  // Inside a ReadScope; the pointer is good until it ends. nullptr: not resident.
  ResidentUser* find(std::string_view user, std::uint64_t hash) const noexcept { return table(hash).find(user, hash).user; }
  // Before find(), where nothing was fetched ahead: starts the fetch of where the block is likely to be.
  void prefetch_places(std::uint64_t hash) const noexcept { places_[shard_of(hash)]->prefetch(hash); }
  // Inside a ReadScope. Starts the fetch of what find() will touch first.
  void prefetch(std::uint64_t hash) const noexcept { table(hash).prefetch(hash); }
  // Inside a ReadScope, some work after prefetch(): starts the fetch of the block that is probably the user's, and returns
  // it for find(); nullptr: the user was not resident a moment ago.
  ResidentUser* prefetch_user(std::uint64_t hash) const noexcept { return table(hash).prefetch_user(hash); }
  // In the same ReadScope: as find(), without a search where `likely` is the user.
  ResidentUser* find(std::string_view user, std::uint64_t hash, ResidentUser* likely) const noexcept {
    return likely != nullptr && same_name(likely->name(), user) ? likely : find(user, hash);
  }

  // Writers: any thread but an event loop's; calls about one user must not overlap (Registrar's stripes see to that).
  // Makes the user resident, or replaces the resident block: its words are frozen, carried over (the throttle word as
  // it stands; replay words by device id: the store's where the device is new, the later of the two where both have one) and
  // live on in the new block. Now and then some other users' blocks move meanwhile to where a look-up expects them: their
  // words are frozen while they are copied, and who meets one looks the user up again.
  void put(const LoadedUser& user);
  // No longer resident; its words are frozen, and returned. nullopt: was not resident.
  std::optional<LastWords> take(std::string_view user);
  bool resident(std::string_view user) const;

  // Whom nobody uses, for MemoryCap, one thread at a time. sweep() goes over a piece of the shard's table from where it
  // stopped before; takes out, until the users have come down to `target_bytes`, who was not used since an earlier sweep
  // over them; and marks the others for the next one. Between two sweeps, all that was pushed about users up to the first
  // one's end must become durable (see MemoryCap): then who is taken out is on disk as they stand. Whose stripe is held by
  // somebody stays. reclaim() frees the memory of whom sweep() took out, after wait_for_readers().
  std::size_t sweep(std::size_t shard, std::size_t target_bytes, UserStripes& stripes);
  void reclaim(std::size_t shard);

  struct Memory {
    std::size_t users = 0;  // blocks and table
    std::size_t slabs = 0;  // what the blocks lie in, and the table: what the system sees
  };
  Memory memory(std::size_t shard) const noexcept;
  // Before any user is there: no PlacedBlocks, whose pieces stay when users go.
  void leave_out_places() noexcept;
  static std::size_t shard_of(std::uint64_t hash) noexcept { return hash % shard_count; }

  // Any thread, no lock.
  std::size_t size() const noexcept;         // resident users
  std::size_t bytes() const noexcept;        // memory of blocks and tables
  std::uint64_t loads() const noexcept;      // users who became resident
  std::uint64_t evictions() const noexcept;  // users whom sweep() took out

 private:
  class Shard;
  Shard& shard(std::uint64_t hash) const noexcept { return *shards_[shard_of(hash)]; }
  const DirectoryTable& table(std::uint64_t hash) const noexcept {
    return *tables_[shard_of(hash)].load(std::memory_order_acquire);
  }
  // What a look-up needs of the shards, without a way round by them.
  std::array<std::atomic<DirectoryTable*>, shard_count> tables_{};
  std::array<const PlacedBlocks*, shard_count> places_{};
  std::array<std::unique_ptr<Shard>, shard_count> shards_;
};

}  // namespace watchword::engine
