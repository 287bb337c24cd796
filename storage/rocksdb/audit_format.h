// Bytes of the audit trail. Numbers big-endian, so that keys sort as numbers do.
//
//   column family   key                                              value
//   audit           sequence: u64, from 1 without a gap              entry, hash
//   audit.index     "t", at, sequence                                empty
//                   "u", user: text, at, sequence                    action
//                   "a", action: text, at, sequence                  empty
//   default         "key/audit"                                      the sealed audit key
//                   "audit/start"                                    start: absent, the trail begins at 1
//
//   entry := version: u8 = 1, at, actor: text, address: text, trace: text, action: text, user: text, device: text,
//            detail: text
//   hash  := HMAC-SHA256(audit key, previous hash, entry); 32 zero bytes before the first
//   start := sequence: u64 of the first entry kept, hash of the one before it, HMAC-SHA256(audit key, "start", both)
//   head  := "watchword-audit-head-1 " sequence " " hash in hexadecimal " " HMAC-SHA256(audit key, "head", both) likewise
//   at    := i64: milliseconds since the epoch, not negative
//   text  := bytes: u32, that many bytes
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/audit.h"

namespace watchword::storage {

inline constexpr std::size_t audit_hash_bytes = 32;
using AuditHash = std::array<std::uint8_t, audit_hash_bytes>;

std::string encode_audit_entry(const engine::AuditEntry& entry);
// nullopt: not of this format.
std::optional<engine::AuditEntry> decode_audit_entry(std::string_view bytes);

AuditHash chain_hash(const engine::SecretBytes& key, const AuditHash& previous, std::string_view entry);

// A place in the chain: an entry's number and hash.
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
  std::string_view entry;
  AuditHash hash;
};
// nullopt: too short.
std::optional<AuditValue> split_audit_value(std::string_view value);

std::string audit_time_prefix();
std::string audit_user_prefix(std::string_view user);
std::string audit_action_prefix(std::string_view action);
// The rest of an index key: 16 bytes.
std::string audit_moment(std::int64_t at_ms, std::uint64_t sequence);

}  // namespace watchword::storage
