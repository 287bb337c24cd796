#include "storage/sealed_keys.h"

#include <charconv>
#include <cstdio>

#include "storage/aead.h"
#include "storage/open.h"

namespace watchword::storage {
namespace {

constexpr std::string_view data_prefix = "data/";
constexpr std::size_t version_digits = 8;
constexpr std::size_t moment_bytes = 8;

std::string moment_text(std::int64_t seconds) {
  std::string out;
  for (std::size_t i = 0; i < moment_bytes; ++i) out += static_cast<char>(static_cast<std::uint64_t>(seconds) >> (8 * i));
  return out;
}

std::int64_t read_moment(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < moment_bytes; ++i) value |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  return static_cast<std::int64_t>(value);
}

// A row's two parts: what it says in the clear, and what is sealed.
struct Parts {
  std::string_view clear;
  std::string_view sealed;
  std::string binding;
};

std::optional<Parts> split(std::string_view row_name, std::string_view row) {
  if (row_name == "data") return Parts{.clear = {}, .sealed = row, .binding = "watchword key data 1"};
  if (const std::optional<std::uint32_t> version = data_key_version(row_name)) {
    if (row.size() < moment_bytes) return std::nullopt;
    return Parts{.clear = row.substr(0, moment_bytes),
                 .sealed = row.substr(moment_bytes),
                 .binding = "watchword key data " + std::to_string(*version) + " " + std::to_string(read_moment(row))};
  }
  return Parts{.clear = {}, .sealed = row, .binding = "watchword key " + std::string(row_name)};
}

std::optional<engine::SecretBytes> open_row(const engine::SecretBytes& master_key, std::string_view row_name,
                                            std::string_view row) {
  const std::optional<Parts> parts = split(row_name, row);
  if (!parts) return std::nullopt;
  std::optional<engine::SecretBytes> key = aead_open(master_key, parts->binding, parts->sealed);
  if (key && key->size() != aead_key_bytes) key.reset();
  return key;
}

[[noreturn]] void wrong_key() {
  throw OpenError("this master key does not open the data: it belongs to another data directory, or the data is damaged");
}

// The master key must not stay in what seals and opens on this thread.
struct ForgetsMasterKey {
  ForgetsMasterKey() = default;
  ~ForgetsMasterKey() { aead_forget_keys(); }
  ForgetsMasterKey(const ForgetsMasterKey&) = delete;
  ForgetsMasterKey& operator=(const ForgetsMasterKey&) = delete;
};

}  // namespace

std::string data_key_row_name(std::uint32_t version) {
  char digits[version_digits + 1];
  std::snprintf(digits, sizeof digits, "%08x", version);
  return std::string(data_prefix) + digits;
}

std::optional<std::uint32_t> data_key_version(std::string_view row_name) {
  if (row_name == "data") return 1;
  if (!row_name.starts_with(data_prefix)) return std::nullopt;
  const std::string_view digits = row_name.substr(data_prefix.size());
  std::uint32_t version = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), version, 16);
  if (fault != std::errc{} || end != digits.data() + digits.size() || digits.size() != version_digits) return std::nullopt;
  return version;
}

std::int64_t data_key_made_at_s(std::string_view row_name, std::string_view row) {
  return row_name == "data" || row.size() < moment_bytes ? 0 : read_moment(row);
}

std::string make_key_row(const engine::SecretBytes& master_key, std::string_view row_name) {
  const ForgetsMasterKey after;
  return aead_seal(master_key, "watchword key " + std::string(row_name),
                   engine::SecretBytes::random(aead_key_bytes).bytes());
}

std::string seal_data_key(const engine::SecretBytes& master_key, const DataKey& key) {
  const ForgetsMasterKey after;
  const std::string moment = moment_text(key.made_at_s);
  const std::optional<Parts> parts = split(data_key_row_name(key.version), moment);
  return moment + aead_seal(master_key, parts->binding, key.key.bytes());
}

KeyRows make_key_rows(const engine::SecretBytes& master_key, std::int64_t now_s) {
  const DataKey first{.version = 1, .made_at_s = now_s, .key = engine::SecretBytes::random(aead_key_bytes)};
  return {{data_key_row_name(1), seal_data_key(master_key, first)},
          {"hash", make_key_row(master_key, "hash")},
          {"audit", make_key_row(master_key, "audit")}};
}

bool opens(const engine::SecretBytes& master_key, const KeyRows& rows) {
  const ForgetsMasterKey after;
  const auto hash = rows.find("hash");
  return hash != rows.end() && open_row(master_key, hash->first, hash->second).has_value();
}

KeyRing open_keys(const engine::SecretBytes& master_key, const KeyRows& rows) {
  const ForgetsMasterKey after;
  std::vector<DataKey> data_keys;
  std::optional<engine::SecretBytes> hash, audit;
  for (const auto& [name, row] : rows) {
    std::optional<engine::SecretBytes> key = open_row(master_key, name, row);
    if (!key) wrong_key();
    if (const std::optional<std::uint32_t> version = data_key_version(name)) {
      data_keys.push_back({.version = *version, .made_at_s = data_key_made_at_s(name, row), .key = std::move(*key)});
    } else if (name == "hash") {
      hash = std::move(key);
    } else if (name == "audit") {
      audit = std::move(key);
    }
  }
  if (data_keys.empty() || !hash || !audit) throw OpenError("the store has not all of its keys: it is damaged");
  return KeyRing(std::move(data_keys), std::move(*hash), std::move(*audit));
}

KeyRows seal_anew(const engine::SecretBytes& master_key, const engine::SecretBytes& new_master_key, const KeyRows& rows) {
  const ForgetsMasterKey after;
  KeyRows anew;
  for (const auto& [name, row] : rows) {
    const std::optional<engine::SecretBytes> key = open_row(master_key, name, row);
    if (!key) wrong_key();
    const Parts parts = *split(name, row);
    anew[name] = std::string(parts.clear) + aead_seal(new_master_key, parts.binding, key->bytes());
  }
  return anew;
}

}  // namespace watchword::storage
