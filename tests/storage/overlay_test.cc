#include "storage/rocksdb/overlay.h"

#include <gtest/gtest.h>

#include <map>

namespace watchword::storage {
namespace {

engine::CellKey key_of(std::uint64_t i) {
  return {engine::UserNumber{i}, static_cast<std::uint32_t>(i % 3)};
}

TEST(Overlay, CellsOfManyPeopleAreFoundCountedAndVisitedOnceEach) {
  constexpr std::uint64_t count = 20'000;
  Overlay overlay;
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < count; ++i) overlay.cells.at(key_of(i)).value.receipt = i + 1;
    for (std::uint64_t i = 0; i < count; i += 2) overlay.cells.at(key_of(i));  // is there already
    EXPECT_EQ(overlay.cells.size(), count);
    std::map<engine::CellKey, std::uint64_t> seen;
    overlay.cells.for_each([&](const engine::CellKey& key, const Overlay::Entry& entry) {
      EXPECT_TRUE(seen.emplace(key, entry.value.receipt).second);
    });
    EXPECT_EQ(seen.size(), count);
    for (std::uint64_t i = 0; i < count; ++i) {
      ASSERT_NE(overlay.cells.find(key_of(i)), nullptr);
      EXPECT_EQ(overlay.cells.find(key_of(i))->value.receipt, i + 1);
      EXPECT_EQ(seen[key_of(i)], i + 1);
    }
    EXPECT_EQ(overlay.cells.find(key_of(count)), nullptr);
    overlay.clear();
    EXPECT_TRUE(overlay.empty());
    EXPECT_EQ(overlay.cells.find(key_of(1)), nullptr) << "and is used again in the second round";
  }
}

}  // namespace
}  // namespace watchword::storage
