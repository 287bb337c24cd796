#include "storage/rocksdb/overlay.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <utility>
#include <vector>

#include "engine/words.h"

namespace watchword::storage {
namespace {

engine::CellKey key_of(std::uint64_t i) {
  return {engine::UserNumber{i}, static_cast<std::uint32_t>(i % 3)};
}
engine::CellWrite write_of(std::uint64_t i) {
  return {.key = key_of(i), .value = {.word = 0, .receipt = i + 1}};
}

TEST(Overlay, CellsOfManyPeopleAreFoundCountedAndVisitedOnceEach) {
  constexpr std::uint64_t count = 20'000;
  Overlay overlay;
  std::vector<engine::CellWrite> writes;
  for (std::uint64_t i = 0; i < count; ++i) writes.push_back(write_of(i));
  for (int round = 0; round < 2; ++round) {
    overlay.write(writes);
    for (std::uint64_t i = 0; i < count; i += 2) overlay.write(write_of(i));  // is there already
    EXPECT_EQ(overlay.cells.size(), count);
    std::map<engine::CellKey, std::uint64_t> seen;
    overlay.cells.for_each([&](const engine::CellKey& key, const Overlay::Entry& entry) {
      EXPECT_FALSE(entry.erased);
      EXPECT_TRUE(seen.emplace(key, entry.value.receipt).second);
    });
    EXPECT_EQ(seen.size(), count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto entry = overlay.cells.find(key_of(i));
      ASSERT_TRUE(entry);
      EXPECT_EQ(entry->value.receipt, i + 1);
      EXPECT_EQ(seen[key_of(i)], i + 1);
    }
    EXPECT_FALSE(overlay.cells.find(key_of(count)));
    overlay.clear();
    EXPECT_TRUE(overlay.empty());
    EXPECT_FALSE(overlay.cells.find(key_of(1))) << "and is used again in the second round";
  }
}

TEST(Overlay, TheNewerValueStays) {
  const engine::CellKey key{{7}, 1};
  engine::ReplayWord older{}, later{};
  older.bits = 1;
  later.bits = 2;
  if (engine::newer(older, later).bits == older.bits) std::swap(older, later);
  Overlay overlay;
  overlay.write({.key = key, .value = {.word = later.bits, .receipt = 2}});
  overlay.write({.key = key, .value = {.word = older.bits, .receipt = 1}});
  EXPECT_EQ(overlay.cells.find(key)->value.receipt, 2u);
  engine::CellValue known{.word = older.bits, .receipt = 1};
  overlay.lay_over(key, known);
  EXPECT_EQ(known.word, later.bits);
}

TEST(Overlay, WhatWasErasedStaysErased) {
  Overlay overlay;
  overlay.write(write_of(4));
  overlay.erase(key_of(4));
  overlay.write(write_of(4));
  overlay.erase(key_of(5));  // it was in the rows
  overlay.write(write_of(5));
  EXPECT_EQ(overlay.cells.size(), 2u);
  for (const std::uint64_t i : {4u, 5u}) {
    ASSERT_TRUE(overlay.cells.find(key_of(i)));
    EXPECT_TRUE(overlay.cells.find(key_of(i))->erased);
    engine::CellValue known{.word = 0, .receipt = 99};
    overlay.lay_over(key_of(i), known);
    EXPECT_EQ(known.receipt, 99u);
  }
}

TEST(Overlay, IsWhatAMapWouldBe) {
  std::mt19937_64 random(7);
  Overlay overlay;
  for (int round = 0; round < 4; ++round) {
    struct Known {
      std::uint64_t receipt = 0;
      bool erased = false;
    };
    std::map<engine::CellKey, Known> known;
    for (int i = 0; i < 60'000; ++i) {
      const engine::CellKey key{{random() % 20'000}, static_cast<std::uint32_t>(random() % 2) * 0xffff'ffff};
      Known& there = known[key];
      if (random() % 16 == 0) {
        overlay.erase(key);
        there.erased = true;
      } else {
        // Of two words that are alike, either may stay: each has a receipt of its own.
        engine::CellValue value{.word = 0, .receipt = random()};
        overlay.write({.key = key, .value = value});
        if (!there.erased) {
          there.receipt = engine::newer(key.slot, {.word = 0, .receipt = there.receipt}, value).receipt;
        }
      }
    }
    EXPECT_EQ(overlay.cells.size(), known.size());
    std::size_t visited = 0, parts = 0;
    overlay.cells.for_each(
        [&](const engine::CellKey& key, const Overlay::Entry& entry) {
          ++visited;
          ASSERT_TRUE(known.contains(key));
          EXPECT_EQ(entry.erased, known[key].erased);
          EXPECT_TRUE(entry.erased || entry.value.receipt == known[key].receipt);
        },
        [&] { ++parts; });
    EXPECT_EQ(visited, known.size());
    EXPECT_EQ(parts, 256u);
    Overlay other;
    std::swap(overlay, other);
    EXPECT_TRUE(overlay.empty());
    EXPECT_EQ(other.cells.size(), known.size());
    std::swap(overlay, other);
    overlay.clear();
    EXPECT_TRUE(overlay.empty());
    for (const auto& [key, there] : known) ASSERT_FALSE(overlay.cells.find(key));
  }
}

TEST(Overlay, GivesBackWhatAFloodNeededOnceItHoldsLittle) {
  Overlay overlay;
  for (std::uint64_t i = 0; i < 300'000; ++i) overlay.write(write_of(i));
  const std::size_t flood = overlay.cells.shape().capacity;
  overlay.clear();
  EXPECT_EQ(overlay.cells.shape().capacity, flood) << "the next flood needs it again";
  for (std::uint64_t i = 0; i < 1000; ++i) overlay.write(write_of(i));
  EXPECT_EQ(overlay.cells.size(), 1000u);
  overlay.clear();
  EXPECT_LT(overlay.cells.shape().capacity, flood / 2);
  overlay.write(write_of(1));
  EXPECT_TRUE(overlay.cells.find(key_of(1)));
}

// Or whoever commits stands still while all of it moves.
TEST(Overlay, PartsGrowOneAfterTheOther) {
  Overlay overlay;
  constexpr std::uint64_t parts = 256, slots = 512 * parts, steps = 20;
  std::uint64_t next = 0;
  const auto fill_to = [&](std::uint64_t cells) {
    while (next < cells) overlay.write(write_of(next++));
    return overlay.cells.shape().capacity;
  };
  std::size_t before = fill_to(slots * 40 / 100);
  EXPECT_NEAR(static_cast<double>(before), slots, slots / 20);
  // From 40 to 90 % of what there was all of them grow, and in no twentieth of that more than a fifth of them.
  for (std::uint64_t step = 1; step <= steps; ++step) {
    const std::size_t capacity = fill_to(slots * 40 / 100 + slots * 50 / 100 * step / steps);
    EXPECT_LE(capacity - before, slots / 5) << step;
    before = capacity;
  }
  EXPECT_NEAR(static_cast<double>(before), 2 * slots, slots / 20);
}

// People's numbers are close to one another, and differ by the number of shards in one shard.
TEST(Overlay, NumbersInARowAndFarApartAreSpreadAlike) {
  for (const std::uint64_t stride : {std::uint64_t{1}, std::uint64_t{16}, std::uint64_t{4096}, std::uint64_t{1} << 32}) {
    Overlay overlay;
    constexpr std::uint64_t count = 100'000;
    for (std::uint64_t i = 0; i < count; ++i) overlay.write({.key = {{i * stride}, 0}, .value = {.receipt = i}});
    EXPECT_EQ(overlay.cells.size(), count);
    const auto [capacity, fullest, probes] = overlay.cells.shape();
    EXPECT_LT(probes, 200u) << stride;
    EXPECT_LT(fullest, count / 256 * 3 / 2) << stride;
    EXPECT_LT(capacity, 4 * count) << stride;
  }
}

}  // namespace
}  // namespace watchword::storage
