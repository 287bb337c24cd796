// The keys: a master key in a file of its own seals a data key, the data key seals secrets. The store keeps the sealed keys.
//
//   master key file := 64 hexadecimal digits, newline
//   sealed key      := aead(master key, bound to "watchword key " name, 32 bytes)
//   sealed secret   := key version:u32le  aead(data key, bound to version, user, device id; secret)
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::storage {

// Makes the file (0600) unless it is there; checks it either way. Throws OpenError.
void ensure_master_key(const std::filesystem::path& file);
// Throws OpenError: missing, readable by others, not a key.
engine::SecretBytes read_master_key(const std::filesystem::path& file);

struct SealedKeys {
  std::string data_key;
  std::string hash_key;
  std::string audit_key;
};

class KeyRing {
 public:
  static SealedKeys make(const engine::SecretBytes& master_key);
  // Throws OpenError when this master key does not open them.
  KeyRing(const engine::SecretBytes& master_key, const SealedKeys& keys);

  std::string seal(std::string_view user, engine::DeviceId device, const engine::SecretBytes& secret) const;
  // nullopt: not sealed for this user and device under a key of this ring.
  std::optional<engine::SecretBytes> open(std::string_view user, engine::DeviceId device, std::string_view sealed) const;
  const engine::SecretBytes& hash_key() const { return hash_key_; }
  // Of the audit trail's chain.
  const engine::SecretBytes& audit_key() const { return audit_key_; }

 private:
  engine::SecretBytes data_key_;
  engine::SecretBytes hash_key_;
  engine::SecretBytes audit_key_;
};

}  // namespace watchword::storage
