#include "storage/key_ring.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <utility>

#include "storage/aead.h"

namespace watchword::storage {
namespace {

constexpr std::size_t version_bytes = 4;

void append_le32(std::string& out, std::uint32_t value) {
  for (std::size_t i = 0; i < version_bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

// A row that is moved to another user or device does not open there.
std::string binding(std::uint32_t version, std::string_view user, engine::DeviceId device) {
  std::string bound;
  append_le32(bound, version);
  append_le32(bound, static_cast<std::uint32_t>(user.size()));
  bound += user;
  append_le32(bound, static_cast<std::uint32_t>(device.value));
  append_le32(bound, static_cast<std::uint32_t>(device.value >> 32));
  return bound;
}

}  // namespace

// Keys are added and never taken away, and each stays where it is: who found one needs the lock no more.
struct KeyRing::DataKeys {
  mutable std::shared_mutex mutex;
  std::vector<std::unique_ptr<const DataKey>> keys;  // ascending by version

  const DataKey& newest() const {
    const std::shared_lock lock(mutex);
    return *keys.back();
  }
  const DataKey* find(std::uint32_t version) const {
    const std::shared_lock lock(mutex);
    const auto at = std::find_if(keys.rbegin(), keys.rend(), [&](const auto& key) { return key->version == version; });
    return at == keys.rend() ? nullptr : at->get();
  }
};

std::uint32_t sealing_version(std::string_view sealed) {
  if (sealed.size() < version_bytes) return 0;
  std::uint32_t version = 0;
  for (std::size_t i = 0; i < version_bytes; ++i) {
    version |= std::uint32_t{static_cast<std::uint8_t>(sealed[i])} << (8 * i);
  }
  return version;
}

KeyRing::KeyRing(std::vector<DataKey> data_keys, engine::SecretBytes hash_key, engine::SecretBytes audit_key)
    : data_keys_(std::make_unique<DataKeys>()), hash_key_(std::move(hash_key)), audit_key_(std::move(audit_key)) {
  std::sort(data_keys.begin(), data_keys.end(), [](const DataKey& a, const DataKey& b) { return a.version < b.version; });
  for (DataKey& key : data_keys) data_keys_->keys.push_back(std::make_unique<const DataKey>(std::move(key)));
  if (data_keys_->keys.empty()) throw std::logic_error("a key ring needs a data key");
}
KeyRing::KeyRing(KeyRing&&) noexcept = default;
KeyRing::~KeyRing() = default;

std::string KeyRing::seal(std::string_view user, engine::DeviceId device, const engine::SecretBytes& secret) const {
  const DataKey& key = data_keys_->newest();
  std::string sealed;
  append_le32(sealed, key.version);
  return sealed + aead_seal(key.key, binding(key.version, user, device), secret.bytes());
}

std::optional<engine::SecretBytes> KeyRing::open(std::string_view user, engine::DeviceId device,
                                                 std::string_view sealed) const {
  const DataKey* const key = data_keys_->find(sealing_version(sealed));
  if (key == nullptr) return std::nullopt;
  return aead_open(key->key, binding(key->version, user, device), sealed.substr(version_bytes));
}

std::uint32_t KeyRing::newest_version() const {
  return data_keys_->newest().version;
}

void KeyRing::add(DataKey key) {
  const std::unique_lock lock(data_keys_->mutex);
  if (key.version <= data_keys_->keys.back()->version) throw std::logic_error("versions of data keys only grow");
  data_keys_->keys.push_back(std::make_unique<const DataKey>(std::move(key)));
}

}  // namespace watchword::storage
