// Bytes of the audit trail. Numbers big-endian, so that keys sort as numbers do.
//
//   column family   key                                              value
//   audit           sequence: u64, from 1 without a gap              entry or bundle, hash
//   audit.index     "t", at, sequence                                empty
//                   "u", user: text, at, sequence                    action; of entries that stand alone
//                   "s", at, sequence                                mark: u16 of each user; of bundles
//                   "a", action: text, at, sequence                  empty; of a bundle one for each action in it
//   default         "key/audit"                                      the sealed audit key
//                   "audit/start"                                    start: absent, the trail begins at 1
//
//   entry := version: u8 = 1, at, actor: text, address: text, trace: text, action: text, user: text, device: text,
//            detail: text
//   bundle := version: u8 = 2, entries: u16, at of the first, entries of: ms after the first: u16, same: u8, texts
//            Entries that became durable together, one after the other, in order of time. Bit i of `same`: the i-th text is
//            that of the entry before, and is left out. A row's sequence is that of its first entry, its `at` that of its
//            last.
//   hash  := HMAC-SHA256(audit key, hash of the row before, entry or bundle); 32 zero bytes before the first
//   start := sequence: u64 of the first entry kept, hash of the row before it, HMAC-SHA256(audit key, "start", both)
//   head  := "watchword-audit-head-1 " sequence " " hash in hexadecimal " " HMAC-SHA256(audit key, "head", both) likewise
//   at    := i64: milliseconds since the epoch, not negative
//   text  := bytes: u32, that many bytes
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/audit.h"

namespace watchword::storage {

inline constexpr std::size_t audit_hash_bytes = 32;
using AuditHash = std::array<std::uint8_t, audit_hash_bytes>;

inline constexpr std::size_t bundle_entries_max = 512;
inline constexpr std::int64_t bundle_span_ms = 1000;  // from a bundle's first entry to its last, at most

// Instead of what `out` holds.
void encode_audit_entry(std::string& out, const engine::AuditNote& entry);
// How many entries from the front go into one bundle; they stand in order of time.
std::size_t bundle_length(std::span<const engine::AuditNote> entries);
// Of that many, instead of what `out` holds.
void encode_audit_bundle(std::string& out, std::span<const engine::AuditNote> entries);
// The entries of a row, in order. Empty: not of this format.
std::vector<engine::AuditEntry> decode_audit_row(std::string_view bytes);
// How many there are; 0: not of this format. Looks at no more than the beginning.
std::size_t audit_row_length(std::string_view bytes);

AuditHash chain_hash(const engine::SecretBytes& key, const AuditHash& previous, std::string_view row);

// A place in the chain: the number of a row's last entry, and the row's hash.
struct AuditPlace {
  std::uint64_t sequence = 0;
  AuditHash hash{};
  bool operator==(const AuditPlace&) const = default;
};
// What stands before the first entry kept, as the store keeps it. nullopt: not made with this key.
std::string encode_audit_start(const engine::SecretBytes& key, const AuditPlace& before_first);
std::optional<AuditPlace> decode_audit_start(const engine::SecretBytes& key, std::string_view bytes);
// The head as a line of text, to be kept elsewhere. nullopt: not made with this key.
std::string audit_head_text(const engine::SecretBytes& key, const AuditPlace& head);
std::optional<AuditPlace> parse_audit_head(const engine::SecretBytes& key, std::string_view text);

struct AuditValue {
  std::string_view row;
  AuditHash hash;
};
// nullopt: too short.
std::optional<AuditValue> split_audit_value(std::string_view value);

std::string audit_time_prefix();
std::string audit_summary_prefix();
std::string audit_user_prefix(std::string_view user);
std::string audit_action_prefix(std::string_view action);
// What a summary keeps of a user, and whether it has that mark: then the bundle may have an entry about him.
std::uint16_t audit_user_mark(std::string_view user);
void append_audit_mark(std::string& summary, std::uint16_t mark);
bool has_audit_mark(std::string_view summary, std::uint16_t mark);
// The rest of an index key: 16 bytes.
std::string audit_moment(std::int64_t at_ms, std::uint64_t sequence);

}  // namespace watchword::storage
