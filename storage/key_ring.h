// The keys in the clear, as a running store holds them: data keys seal secrets, the newest of them every new one. A rotation
// adds one; an old one stays until the process ends, for readers that hold rows from before.
//
//   sealed secret := key version:u32le  aead(data key, bound to version, user, device id; secret)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace watchword::storage {

struct DataKey {
  std::uint32_t version = 0;   // from 1 up
  std::int64_t made_at_s = 0;  // 0: not known
  engine::SecretBytes key;
};

// The version that a sealed secret names. Of fewer bytes than a version has: 0, which no key has.
std::uint32_t sealing_version(std::string_view sealed);

// Any thread. Movable only before it is shared.
class KeyRing {
 public:
  // `data_keys` holds one at least.
  KeyRing(std::vector<DataKey> data_keys, engine::SecretBytes hash_key, engine::SecretBytes audit_key);
  KeyRing(KeyRing&&) noexcept;
  ~KeyRing();

  // Under the newest data key.
  std::string seal(std::string_view user, engine::DeviceId device, const engine::SecretBytes& secret) const;
  // nullopt: not sealed for this user and device under a key of this ring.
  std::optional<engine::SecretBytes> open(std::string_view user, engine::DeviceId device, std::string_view sealed) const;

  std::uint32_t newest_version() const;
  // From now on everything is sealed under this one. Its version is the highest.
  void add(DataKey key);

  const engine::SecretBytes& hash_key() const { return hash_key_; }
  // Of the audit trail's chain.
  const engine::SecretBytes& audit_key() const { return audit_key_; }

 private:
  struct DataKeys;
  std::unique_ptr<DataKeys> data_keys_;
  engine::SecretBytes hash_key_;
  engine::SecretBytes audit_key_;
};

}  // namespace watchword::storage
