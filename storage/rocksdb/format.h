// Every byte that the embedded store keeps. All numbers little-endian unless said otherwise.
//
//   column family     key                              value
//   default           "doc/" name                      the document
//                     "key/" name, "newkey/" name      sealed keys (storage/sealed_keys.h)
//                     "meta/new-master-key"            fingerprint of the master key of the "newkey/" rows
//                     "meta/reseal"                    how far secrets are sealed anew (storage/rocksdb/reseal.cc)
//                     "meta/next-number"               u64: counter of the next user number
//                     "meta/next-block"                u64: no block below this one will be written again
//   journal           block number: u64 big-endian     block
//   registrations.XX  user                             row
//   state.XX          number: u64 BE, slot: u32 BE     word: u64, receipt: u64
//
//   block  := version: u8 = 1, entry*
//   entry  := 1: u8, number: u64, slot: u32, word: u64, receipt: u64      the cell has this value
//           | 2: u8, number: u64, slot: u32                              the cell is gone
//           | 3: u8, number: u64                                         all cells of the user are gone
//   row    := version: u8 = 1, number: u64, created_at_s: i64, next_slot: u32, changes: u64, devices: u16, device*
//   device := id: u64, slot: u32, name: text, algorithm: u8, digits: u8, period_s: u16, status: u8, enabled: u8,
//             failed_confirmations: u8, created_at_s: i64, confirmed_at_s: i64, expires_at_s: i64, sealed secret: text
//   text   := bytes: u16, that many bytes
//
// XX is the shard in hexadecimal, 00 to 0f: FNV-1a (64 bits) of the user modulo 16. A user number is its counter times 16
// plus the shard, so that cells find their shard too. Numbers and slots are never used twice: a late write of a cell that
// was erased is an orphan row, not a wrong one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/store.h"
#include "storage/key_ring.h"

namespace watchword::storage {

inline constexpr std::size_t shard_count = 16;
std::size_t shard_of(std::string_view user);
inline std::size_t shard_of(engine::UserNumber number) {
  return number.value % shard_count;
}

// All decoders throw engine::StoreError on bytes that are not of this format.
std::string encode_row(const engine::UserRecord& record, const KeyRing& keys);
engine::UserRecord decode_row(std::string_view user, std::string_view row, const KeyRing& keys);
// Without opening a secret.
engine::UserRecord decode_row_sealed(std::string_view user, std::string_view row);
engine::UserSummary summarise_row(std::string_view user, std::string_view row);
// Without opening a secret. The oldest key that seals one in there; nullopt: there is none.
std::optional<std::uint32_t> oldest_seal(std::string_view user, std::string_view row);

using CellRowKey = std::array<char, 12>;
using CellRowValue = std::array<char, 16>;
CellRowKey encode_cell_key(engine::CellKey key);
inline std::string_view view(const CellRowKey& key) {
  return {key.data(), key.size()};
}
inline std::string_view view(const CellRowValue& value) {
  return {value.data(), value.size()};
}
std::uint32_t decode_cell_slot(std::string_view key);
CellRowValue encode_cell_value(const engine::CellValue& value);
engine::CellValue decode_cell_value(std::string_view bytes);

void begin_block(std::string& block);
void append_write(std::string& block, const engine::CellWrite& write);
void append_erase(std::string& block, engine::CellKey key);
void append_erase_user(std::string& block, engine::UserNumber number);
struct BlockVisitor {
  std::function<void(const engine::CellWrite&)> write;
  std::function<void(engine::CellKey)> erase;
  std::function<void(engine::UserNumber)> erase_user;
};
void decode_block(std::string_view block, const BlockVisitor& visitor);

std::string encode_u64(std::uint64_t value);
std::uint64_t decode_u64(std::string_view bytes);
std::string encode_big_endian(std::uint64_t value);
std::uint64_t decode_big_endian(std::string_view bytes);

}  // namespace watchword::storage
