#include "storage/rocksdb/audit_format.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <stdexcept>

#include "storage/rocksdb/format.h"

namespace watchword::storage {
namespace {

constexpr char entry_version = 1;
constexpr char bundle_version = 2;
constexpr std::string_view head_word = "watchword-audit-head-1 ";

void put_text(std::string& out, std::string_view text) {
  const std::size_t size = text.size();
  const char bytes[] = {static_cast<char>(size >> 24), static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                        static_cast<char>(size)};
  out.append(bytes, sizeof bytes);
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
  std::size_t number(std::size_t size) {
    std::size_t value = 0;
    for (const char c : bytes(size)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::string text() { return std::string(bytes(number(4))); }
};

void put_u16(std::string& out, std::size_t number) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number);
}

std::uint64_t unsigned_ms(engine::UnixMillis at) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, at.value));
}

auto texts_of(const engine::AuditNote& note) {
  return std::array{note.actor, note.address, note.trace, note.action, note.user, note.device, note.detail};
}
auto texts_of(engine::AuditEntry& entry) {
  return std::array{&entry.origin.actor, &entry.origin.address, &entry.origin.trace, &entry.action,
                    &entry.user,         &entry.device,         &entry.detail};
}

// Of the one behind the other, without a copy of them: a row has the entries of a whole group.
AuditHash keyed_hash(const engine::SecretBytes& key, std::string_view first, std::string_view second) {
  static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);  // as long as the process
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(hmac != nullptr ? EVP_MAC_CTX_new(hmac) : nullptr,
                                                                          EVP_MAC_CTX_free);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  const auto add = [&](std::string_view bytes) {
    return EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1;
  };
  AuditHash hash{};
  std::size_t length = 0;
  if (context == nullptr || EVP_MAC_init(context.get(), key.data(), key.size(), parameters) != 1 || !add(first) ||
      !add(second) || EVP_MAC_final(context.get(), hash.data(), &length, hash.size()) != 1 || length != hash.size()) {
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

void encode_audit_entry(std::string& out, const engine::AuditNote& entry) {
  out.assign(1, entry_version);
  out += encode_big_endian(unsigned_ms(entry.at));
  for (const std::string_view text : texts_of(entry)) put_text(out, text);
}

std::size_t bundle_length(std::span<const engine::AuditNote> entries) {
  const std::size_t most = std::min(entries.size(), bundle_entries_max);
  std::size_t count = 1;
  while (count < most && unsigned_ms(entries[count].at) >= unsigned_ms(entries[count - 1].at) &&
         unsigned_ms(entries[count].at) - unsigned_ms(entries[0].at) <= bundle_span_ms) {
    ++count;
  }
  return std::min(count, most);
}

void encode_audit_bundle(std::string& out, std::span<const engine::AuditNote> entries) {
  constexpr std::size_t usual_bytes = 64;
  out.clear();
  out.reserve(usual_bytes * (entries.size() + 2));
  out += bundle_version;
  put_u16(out, entries.size());
  out += encode_big_endian(unsigned_ms(entries.front().at));
  std::optional<decltype(texts_of(entries.front()))> before;
  for (const engine::AuditNote& entry : entries) {
    put_u16(out, unsigned_ms(entry.at) - unsigned_ms(entries.front().at));
    const auto texts = texts_of(entry);
    unsigned same = 0;
    for (std::size_t t = 0; before && t < texts.size(); ++t) same |= (texts[t] == (*before)[t] ? 1u : 0u) << t;
    out += static_cast<char>(same);
    for (std::size_t t = 0; t < texts.size(); ++t) {
      if ((same >> t & 1) == 0) put_text(out, texts[t]);
    }
    before = texts;
  }
}

std::size_t audit_row_length(std::string_view bytes) {
  if (bytes.empty()) return 0;
  if (bytes.front() == entry_version) return 1;
  if (bytes.front() != bundle_version) return 0;
  return Taker{bytes.substr(1)}.number(2);
}

std::vector<engine::AuditEntry> decode_audit_row(std::string_view bytes) {
  const std::size_t count = audit_row_length(bytes);
  if (count == 0 || count > bundle_entries_max) return {};
  const bool bundled = bytes.front() == bundle_version;
  Taker in{bytes.substr(bundled ? 3 : 1)};
  const std::size_t first_at = in.number(8);
  std::vector<engine::AuditEntry> entries(count);
  for (std::size_t i = 0; i < count && in.good; ++i) {
    entries[i].at.value = static_cast<std::int64_t>(first_at + (bundled ? in.number(2) : 0));
    const std::size_t same = bundled ? in.number(1) : 0;
    if (i == 0 && same != 0) return {};
    const auto texts = texts_of(entries[i]);
    for (std::size_t t = 0; t < texts.size(); ++t) {
      *texts[t] = (same >> t & 1) != 0 ? *texts_of(entries[i - 1])[t] : in.text();
    }
  }
  if (!in.good || !in.rest.empty()) return {};
  return entries;
}

AuditHash chain_hash(const engine::SecretBytes& key, const AuditHash& previous, std::string_view row) {
  return keyed_hash(key, view(previous), row);
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
  return AuditValue{.row = value.substr(0, size), .hash = hash_of(value.substr(size))};
}

std::string audit_time_prefix() {
  return "t";
}

std::string audit_summary_prefix() {
  return "s";
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

// FNV-1a, folded: what is kept on disk must not depend on a library's hash.
std::uint16_t audit_user_mark(std::string_view user) {
  std::uint32_t hash = 2166136261u;
  for (const char c : user) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return static_cast<std::uint16_t>(hash ^ hash >> 16);
}

void append_audit_mark(std::string& summary, std::uint16_t mark) {
  put_u16(summary, mark);
}

bool has_audit_mark(std::string_view summary, std::uint16_t mark) {
  for (std::size_t i = 0; i + 1 < summary.size(); i += 2) {
    if (Taker{summary.substr(i)}.number(2) == mark) return true;
  }
  return false;
}

std::string audit_moment(std::int64_t at_ms, std::uint64_t sequence) {
  return encode_big_endian(unsigned_ms({at_ms})) + encode_big_endian(sequence);
}

}  // namespace watchword::storage
