#include "engine/placed_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <vector>

namespace watchword::engine {
namespace {

std::vector<std::uint64_t> random_hashes(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> hashes(count);
  for (auto& hash : hashes) hash = random();
  return hashes;
}

TEST(PlacedBlocks, WithoutMemoryThereIsNoPlace) {
  SecretArena arena;
  PlacedBlocks places(arena);
  EXPECT_EQ(places.allocate(1), nullptr);
  EXPECT_EQ(places.allocate_at_home(1), nullptr);
  EXPECT_FALSE(places.at_home(&places, 1));
  EXPECT_FALSE(places.owns(&places));
  EXPECT_TRUE(places.nearly_full());
  places.prefetch(1);
}

TEST(PlacedBlocks, EveryPlaceIsGivenOnceAndMostAreAtHome) {
  SecretArena arena;
  PlacedBlocks places(arena);
  for (int i = 0; i < 5; ++i) places.add_piece();
  std::set<void*> blocks;
  std::size_t at_home = 0, until_nearly_full = 0;
  for (const std::uint64_t hash : random_hashes(places.places())) {
    void* const block = places.allocate(hash);
    ASSERT_NE(block, nullptr);
    ASSERT_TRUE(places.owns(block));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % 32, 0u);
    std::memset(block, 1, PlacedBlocks::block_bytes);
    ASSERT_TRUE(blocks.insert(block).second);
    if (places.nearly_full()) continue;
    ++until_nearly_full;
    at_home += places.at_home(block, hash);
  }
  EXPECT_EQ(places.allocate(1), nullptr);
  EXPECT_GT(at_home * 10, until_nearly_full * 8);
  // None overlaps the next one.
  for (auto at = blocks.begin(), next = std::next(at); next != blocks.end(); ++at, ++next) {
    ASSERT_GE(static_cast<char*>(*next) - static_cast<char*>(*at), std::ptrdiff_t{PlacedBlocks::block_bytes});
  }
}

TEST(PlacedBlocks, WhatIsReleasedIsWipedAndGivenAgain) {
  SecretArena arena;
  PlacedBlocks places(arena);
  places.add_piece();
  auto* const block = static_cast<unsigned char*>(places.allocate(42));
  std::memset(block, 7, PlacedBlocks::block_bytes);
  EXPECT_TRUE(places.at_home(block, 42));
  EXPECT_EQ(places.block_at_home(42, 0), block);
  places.release(block);
  EXPECT_EQ(places.live(), 0u);
  EXPECT_EQ(places.block_at_home(42, 0), nullptr);
  EXPECT_TRUE(std::all_of(block, block + PlacedBlocks::block_bytes, [](unsigned char byte) { return byte == 0; }));
  EXPECT_EQ(places.allocate(42), block);
}

TEST(PlacedBlocks, ANewPieceTakesItsShareOfHomesAndNoMore) {
  SecretArena arena;
  PlacedBlocks places(arena);
  const std::vector<std::uint64_t> hashes = random_hashes(20'000);
  places.add_piece();
  for (std::size_t pieces = 1; pieces < 40; ++pieces) {
    // Whose home a block is does not depend on whether it is taken.
    std::vector<void*> homes;
    for (const std::uint64_t hash : hashes) {
      void* const home = places.allocate_at_home(hash);
      ASSERT_NE(home, nullptr);
      homes.push_back(home);
      places.release(home);
    }
    places.add_piece();
    std::size_t elsewhere = 0;
    for (std::size_t i = 0; i < hashes.size(); ++i) elsewhere += !places.at_home(homes[i], hashes[i]);
    const double share = static_cast<double>(elsewhere) / static_cast<double>(hashes.size());
    EXPECT_NEAR(share, 1.0 / static_cast<double>(pieces + 1), 0.03) << pieces;
  }
}

TEST(PlacedBlocks, PiecesAndSlabsShareAnArena) {
  SecretArena arena;
  PlacedBlocks places(arena);
  std::vector<void*> slabs;
  for (int i = 0; i < 3; ++i) slabs.push_back(arena.allocate(200));
  const std::size_t before = arena.slab_bytes_used();
  places.add_piece();
  EXPECT_EQ(arena.slab_bytes_used(), before + PlacedBlocks::piece_bytes);
  for (void* const block : slabs) EXPECT_FALSE(places.owns(block));
  for (int i = 0; i < 10'000; ++i) slabs.push_back(arena.allocate(200));
  for (void* const block : slabs) {
    ASSERT_FALSE(places.owns(block));
    arena.release(block, 200);
  }
  EXPECT_EQ(arena.slab_bytes_used(), PlacedBlocks::piece_bytes);
}

}  // namespace
}  // namespace watchword::engine
