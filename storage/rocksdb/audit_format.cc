#include "storage/rocksdb/audit_format.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "storage/rocksdb/format.h"

namespace watchword::storage {
namespace {

constexpr char entry_version = 1;
constexpr std::string_view head_word = "watchword-audit-head-1 ";

void put_text(std::string& out, std::string_view text) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(text.size() >> shift);
  out += text;
}

// Takes fields off the front; `good` turns false at the first that is not whole.
struct Taker {
  std::string_view rest;
  bool good = true;

  std::string_view bytes(std::size_t count) {
    if (rest.size() < count) {
      good = false;
      return {};
    }
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  }
  std::string text() {
    std::size_t size = 0;
    for (const char c : bytes(4)) size = size << 8 | static_cast<unsigned char>(c);
    return std::string(bytes(size));
  }
};

AuditHash keyed_hash(const engine::SecretBytes& key, std::string_view first, std::string_view second) {
  AuditHash hash{};
  unsigned length = 0;
  std::string message(first);
  message += second;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(message.data()),
           message.size(), hash.data(), &length) == nullptr ||
      length != hash.size()) {
    throw std::runtime_error("HMAC-SHA256 failed");
  }
  return hash;
}

std::string_view view(const AuditHash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

AuditHash hash_of(std::string_view bytes) {
  AuditHash hash{};
  std::transform(bytes.begin(), bytes.end(), hash.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  return hash;
}

std::string place_bytes(const AuditPlace& place) {
  return encode_big_endian(place.sequence) + std::string(view(place.hash));
}

bool equal(const AuditHash& a, const AuditHash& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex(const AuditHash& hash) {
  std::string text;
  for (const std::uint8_t byte : hash) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::optional<AuditHash> from_hex(std::string_view text) {
  AuditHash hash{};
  if (text.size() != 2 * hash.size()) return std::nullopt;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const char* const digits = text.data() + 2 * i;
    if (std::from_chars(digits, digits + 2, hash[i], 16).ptr != digits + 2) return std::nullopt;
  }
  return hash;
}

}  // namespace

std::string encode_audit_entry(const engine::AuditEntry& entry) {
  std::string out(1, entry_version);
  out += encode_big_endian(static_cast<std::uint64_t>(std::max<std::int64_t>(0, entry.at.value)));
  for (const std::string* text : {&entry.origin.actor, &entry.origin.address, &entry.origin.trace, &entry.action,
                                  &entry.user, &entry.device, &entry.detail}) {
    put_text(out, *text);
  }
  return out;
}

std::optional<engine::AuditEntry> decode_audit_entry(std::string_view bytes) {
  if (bytes.empty() || bytes.front() != entry_version) return std::nullopt;
  Taker in{bytes.substr(1)};
  engine::AuditEntry entry;
  const std::string_view at = in.bytes(8);
  if (!in.good) return std::nullopt;
  entry.at.value = static_cast<std::int64_t>(decode_big_endian(at));
  for (std::string* text : {&entry.origin.actor, &entry.origin.address, &entry.origin.trace, &entry.action, &entry.user,
                            &entry.device, &entry.detail}) {
    *text = in.text();
  }
  if (!in.good || !in.rest.empty()) return std::nullopt;
  return entry;
}

AuditHash chain_hash(const engine::SecretBytes& key, const AuditHash& previous, std::string_view entry) {
  return keyed_hash(key, view(previous), entry);
}

std::string encode_audit_start(const engine::SecretBytes& key, const AuditPlace& before_first) {
  const std::string place = encode_big_endian(before_first.sequence + 1) + std::string(view(before_first.hash));
  return place + std::string(view(keyed_hash(key, "start", place)));
}

std::optional<AuditPlace> decode_audit_start(const engine::SecretBytes& key, std::string_view bytes) {
  constexpr std::size_t place_size = 8 + audit_hash_bytes;
  if (bytes.size() != place_size + audit_hash_bytes) return std::nullopt;
  const std::string_view place = bytes.substr(0, place_size);
  if (!equal(keyed_hash(key, "start", place), hash_of(bytes.substr(place_size)))) return std::nullopt;
  return AuditPlace{.sequence = decode_big_endian(place.substr(0, 8)) - 1, .hash = hash_of(place.substr(8))};
}

std::string audit_head_text(const engine::SecretBytes& key, const AuditPlace& head) {
  return std::string(head_word) + std::to_string(head.sequence) + " " + hex(head.hash) + " " +
         hex(keyed_hash(key, "head", place_bytes(head)));
}

std::optional<AuditPlace> parse_audit_head(const engine::SecretBytes& key, std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  if (!text.starts_with(head_word)) return std::nullopt;
  text.remove_prefix(head_word.size());
  AuditPlace place;
  const auto [stop, fault] = std::from_chars(text.data(), text.data() + text.size(), place.sequence);
  if (fault != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  constexpr std::size_t digits = 2 * audit_hash_bytes;
  if (text.size() != 2 * (digits + 1) || text[0] != ' ' || text[digits + 1] != ' ') return std::nullopt;
  const std::optional<AuditHash> hash = from_hex(text.substr(1, digits)), mac = from_hex(text.substr(digits + 2));
  if (!hash || !mac) return std::nullopt;
  place.hash = *hash;
  if (!equal(keyed_hash(key, "head", place_bytes(place)), *mac)) return std::nullopt;
  return place;
}

std::optional<AuditValue> split_audit_value(std::string_view value) {
  if (value.size() < audit_hash_bytes) return std::nullopt;
  const std::size_t size = value.size() - audit_hash_bytes;
  return AuditValue{.entry = value.substr(0, size), .hash = hash_of(value.substr(size))};
}

std::string audit_time_prefix() {
  return "t";
}

std::string audit_user_prefix(std::string_view user) {
  std::string prefix = "u";
  put_text(prefix, user);
  return prefix;
}

std::string audit_action_prefix(std::string_view action) {
  std::string prefix = "a";
  put_text(prefix, action);
  return prefix;
}

std::string audit_moment(std::int64_t at_ms, std::uint64_t sequence) {
  return encode_big_endian(static_cast<std::uint64_t>(std::max<std::int64_t>(0, at_ms))) + encode_big_endian(sequence);
}

}  // namespace watchword::storage
