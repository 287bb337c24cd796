#include "storage/rocksdb/audit_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace watchword::storage {
namespace {

// What is on disk must stay readable: computed with another program (Python's hmac).
TEST(AuditFormat, RowsAreChainedByHmacSha256OfTheHashBeforeAndTheRow) {
  std::vector<std::uint8_t> key(32);
  AuditHash before{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<std::uint8_t>(i + 1);
    before[i] = static_cast<std::uint8_t>(i + 100);
  }
  std::string hex;
  for (const std::uint8_t byte : chain_hash(engine::SecretBytes(key), before, "row of the trail")) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  EXPECT_EQ(hex, "8c4403bb2a7d8fbce4bc9409c2d9f5f4dc00d02c660edcc324745df9d42d9075");
}

}  // namespace
}  // namespace watchword::storage
