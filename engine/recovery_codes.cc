// A set in the store is the document "recovery/<user number, 16 hexadecimal digits>":
//   set   := "1 " made_at_s " " salt entry*
//   entry := "\n" hash " " used_at_s " " receipt
// salt, hash and receipt in lower-case hexadecimal, the others in decimal digits.
#include "engine/recovery_codes.h"

#include <argon2.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <stdexcept>

namespace watchword::engine {
namespace {

constexpr std::string_view alphabet = "346789CDFHJKMNPQRTVWXY";
constexpr std::size_t group_characters = 4;
// OWASP's least for Argon2id with one lane.
constexpr std::uint32_t passes = 2;
constexpr std::uint32_t memory_kib = 19 * 1024;
constexpr std::uint32_t lanes = 1;

constexpr std::string_view hex_digits = "0123456789abcdef";

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    out += hex_digits[byte >> 4];
    out += hex_digits[byte & 15];
  }
}

std::string hex64(std::uint64_t value) {
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += hex_digits[(value >> shift) & 15];
  return out;
}

// Takes the next field, which ends at `end` or with the text.
std::string_view take_field(std::string_view& text, char end) {
  const std::size_t length = std::min(text.find(end), text.size());
  const std::string_view field = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return field;
}

template <class Number>
Number number(std::string_view field, int base) {
  Number value{};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, base);
  if (error != std::errc() || end != field.data() + field.size()) throw std::runtime_error("bad number in a recovery set");
  return value;
}

void read_hex(std::string_view field, std::span<std::uint8_t> bytes) {
  if (field.size() != 2 * bytes.size()) throw std::runtime_error("bad length in a recovery set");
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = number<std::uint8_t>(field.substr(2 * i, 2), 16);
}

}  // namespace

std::optional<RecoveryCode> RecoveryCode::parse(std::string_view text) noexcept {
  const bool grouped = text.size() == recovery_text_bytes_max;
  if (!grouped && text.size() != recovery_code_characters) return std::nullopt;
  RecoveryCode code;
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (grouped && i % (group_characters + 1) == group_characters) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const char upper = text[i] >= 'a' && text[i] <= 'z' ? static_cast<char>(text[i] - 'a' + 'A') : text[i];
    if (alphabet.find(upper) == std::string_view::npos) return std::nullopt;
    code.canonical[count++] = upper;
  }
  return code;
}

RecoveryCode RecoveryCode::random() {
  // Bytes beyond the greatest multiple would favour the first characters.
  constexpr unsigned fair = 256 / alphabet.size() * alphabet.size();
  RecoveryCode code;
  for (std::size_t count = 0; count < code.canonical.size();) {
    const SecretBytes drawn = SecretBytes::random(2 * recovery_code_characters);
    for (const std::uint8_t byte : drawn.bytes()) {
      if (byte >= fair || count == code.canonical.size()) continue;
      code.canonical[count++] = alphabet[byte % alphabet.size()];
    }
  }
  return code;
}

std::string RecoveryCode::text() const {
  std::string out;
  out.reserve(recovery_text_bytes_max);
  for (std::size_t i = 0; i < canonical.size(); ++i) {
    if (i > 0 && i % group_characters == 0) out += '-';
    out += canonical[i];
  }
  return out;
}

RecoveryHash hash_recovery_code(const RecoveryCode& code, const RecoverySalt& salt) {
  RecoveryHash hash;
  const int failed = argon2id_hash_raw(passes, memory_kib, lanes, code.canonical.data(), code.canonical.size(), salt.data(),
                                       salt.size(), hash.data(), hash.size());
  if (failed != ARGON2_OK) throw std::runtime_error(std::string("Argon2: ") + argon2_error_message(failed));
  return hash;
}

unsigned RecoverySet::left() const {
  return static_cast<unsigned>(
      std::count_if(entries.begin(), entries.end(), [](const Entry& entry) { return entry.used_at_s == 0; }));
}

RecoverySet::Entry* RecoverySet::find(const RecoveryHash& hash) {
  Entry* found = nullptr;
  for (Entry& entry : entries) {
    if (CRYPTO_memcmp(entry.hash.data(), hash.data(), hash.size()) == 0) found = &entry;
  }
  return found;
}

std::string RecoverySet::document_name(std::uint64_t user_number) {
  return "recovery/" + hex64(user_number);
}

std::string RecoverySet::text() const {
  std::string out = "1 " + std::to_string(made_at_s) + " ";
  append_hex(out, salt);
  for (const Entry& entry : entries) {
    out += '\n';
    append_hex(out, entry.hash);
    out += " " + std::to_string(entry.used_at_s) + " " + hex64(entry.receipt);
  }
  return out;
}

RecoverySet RecoverySet::parse(std::string_view text) {
  RecoverySet set;
  std::string_view head = take_field(text, '\n');
  if (take_field(head, ' ') != "1") throw std::runtime_error("a recovery set of an unknown form");
  set.made_at_s = number<std::int64_t>(take_field(head, ' '), 10);
  read_hex(head, set.salt);
  while (!text.empty()) {
    std::string_view line = take_field(text, '\n');
    Entry entry;
    read_hex(take_field(line, ' '), entry.hash);
    entry.used_at_s = number<std::int64_t>(take_field(line, ' '), 10);
    entry.receipt = number<std::uint64_t>(line, 16);
    set.entries.push_back(entry);
  }
  return set;
}

}  // namespace watchword::engine
