#include "storage/key_ring.h"

#include <openssl/crypto.h>
#include <sys/stat.h>

#include "storage/aead.h"
#include "storage/files.h"
#include "storage/open.h"

namespace watchword::storage {
namespace {

constexpr std::uint32_t data_key_version = 1;
constexpr std::string_view data_key_name = "watchword key data 1";
constexpr std::string_view hash_key_name = "watchword key hash";
constexpr std::string_view audit_key_name = "watchword key audit";

std::string to_hex(const engine::SecretBytes& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes.bytes()) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<engine::SecretBytes> from_hex(std::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (text.size() != 2 * aead_key_bytes) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return engine::SecretBytes(std::move(bytes));
}

void append_le32(std::string& out, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
}

// A row that is moved to another user or device does not open there.
std::string binding(std::string_view user, engine::DeviceId device) {
  std::string bound;
  append_le32(bound, data_key_version);
  append_le32(bound, static_cast<std::uint32_t>(user.size()));
  bound += user;
  append_le32(bound, static_cast<std::uint32_t>(device.value));
  append_le32(bound, static_cast<std::uint32_t>(device.value >> 32));
  return bound;
}

engine::SecretBytes open_key(const engine::SecretBytes& master_key, std::string_view name, std::string_view sealed) {
  std::optional<engine::SecretBytes> key = aead_open(master_key, name, sealed);
  if (!key || key->size() != aead_key_bytes) {
    throw OpenError("this master key does not open the data: it belongs to another data directory, or the data is damaged");
  }
  return std::move(*key);
}

}  // namespace

void ensure_master_key(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) {
    std::string text = to_hex(engine::SecretBytes::random(aead_key_bytes)) + "\n";
    write_file_durably(file, text);
    OPENSSL_cleanse(text.data(), text.size());
  }
  read_master_key(file);
}

engine::SecretBytes read_master_key(const std::filesystem::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) {
    throw OpenError("the master key file " + file.string() + " is missing; without it no secret can be opened");
  }
  if ((status.st_mode & 077) != 0) {
    throw OpenError("the master key file " + file.string() + " can be read by others; run: chmod 600 " + file.string());
  }
  std::string text = read_file(file).value_or("");
  std::optional<engine::SecretBytes> key = from_hex(text);
  OPENSSL_cleanse(text.data(), text.size());
  if (!key) throw OpenError("the master key file " + file.string() + " does not hold 64 hexadecimal digits");
  return std::move(*key);
}

SealedKeys KeyRing::make(const engine::SecretBytes& master_key) {
  return {.data_key = aead_seal(master_key, data_key_name, engine::SecretBytes::random(aead_key_bytes).bytes()),
          .hash_key = aead_seal(master_key, hash_key_name, engine::SecretBytes::random(aead_key_bytes).bytes()),
          .audit_key = aead_seal(master_key, audit_key_name, engine::SecretBytes::random(aead_key_bytes).bytes())};
}

KeyRing::KeyRing(const engine::SecretBytes& master_key, const SealedKeys& keys)
    : data_key_(open_key(master_key, data_key_name, keys.data_key)),
      hash_key_(open_key(master_key, hash_key_name, keys.hash_key)),
      audit_key_(open_key(master_key, audit_key_name, keys.audit_key)) {}

std::string KeyRing::seal(std::string_view user, engine::DeviceId device, const engine::SecretBytes& secret) const {
  std::string sealed;
  append_le32(sealed, data_key_version);
  return sealed + aead_seal(data_key_, binding(user, device), secret.bytes());
}

std::optional<engine::SecretBytes> KeyRing::open(std::string_view user, engine::DeviceId device,
                                                 std::string_view sealed) const {
  std::string version;
  append_le32(version, data_key_version);
  if (!sealed.starts_with(version)) return std::nullopt;
  return aead_open(data_key_, binding(user, device), sealed.substr(version.size()));
}

}  // namespace watchword::storage
