#include "api/kept_input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace watchword::api::test {
namespace {

TEST(KeptInput, WhatIsTakenFromTheFrontAndComesAtTheEndIsAQueueOfBytes) {
  KeptInput kept;
  std::string expected;
  for (std::size_t i = 0; i < 2000; ++i) {
    const std::string more(i % 97, static_cast<char>('a' + i % 26));
    kept.append(more);
    expected += more;
    const std::size_t taken = std::min(expected.size(), i * 31 % 101);
    kept.take(taken);
    expected.erase(0, taken);
    ASSERT_EQ(kept.view(), expected);
    ASSERT_EQ(kept.size(), expected.size());
    ASSERT_EQ(kept.empty(), expected.empty());
  }
}

TEST(KeptInput, WhatWasTakenIsNoLongerInItsMemory) {
  KeptInput kept;
  kept.append("Bearer key-of-somebody");
  kept.append(std::string(10, 'x'));  // makes room for as much again
  kept.take(22);
  const char* const begin = kept.view().data() - 22;
  kept.append("y");
  ASSERT_EQ(kept.view().data(), begin) << "the same memory";
  EXPECT_EQ(kept.view(), std::string(10, 'x') + "y");
  EXPECT_EQ(std::string(begin + 11, 21), std::string(21, '\0')) << "behind it, where it stood before it moved";
}

}  // namespace
}  // namespace watchword::api::test
