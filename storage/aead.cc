#include "storage/aead.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>
#include <stdexcept>

namespace watchword::storage {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

const EVP_CIPHER* cipher() {
  static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (fetched == nullptr) throw std::runtime_error("OpenSSL offers no AES-256-GCM");
  return fetched;
}

EVP_CIPHER_CTX* context() {
  thread_local const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> held(EVP_CIPHER_CTX_new());
  if (!held) throw std::bad_alloc();
  return held.get();
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string aead_seal(const engine::SecretBytes& key, std::string_view bound_to, std::span<const std::uint8_t> plain) {
  std::string sealed(aead_nonce_bytes + plain.size() + aead_tag_bytes, '\0');
  auto* const out = reinterpret_cast<unsigned char*>(sealed.data());
  EVP_CIPHER_CTX* const use = context();
  int length = 0;
  const bool good =
      key.size() == aead_key_bytes && RAND_bytes(out, aead_nonce_bytes) == 1 &&
      EVP_EncryptInit_ex(use, cipher(), nullptr, key.data(), out) == 1 &&
      EVP_EncryptUpdate(use, nullptr, &length, bytes_of(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_EncryptUpdate(use, out + aead_nonce_bytes, &length, plain.data(), static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(use, out + aead_nonce_bytes + plain.size(), &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(use, EVP_CTRL_GCM_GET_TAG, aead_tag_bytes, out + aead_nonce_bytes + plain.size()) == 1;
  EVP_CIPHER_CTX_reset(use);
  if (!good) throw std::runtime_error("sealing failed");
  return sealed;
}

std::optional<engine::SecretBytes> aead_open(const engine::SecretBytes& key, std::string_view bound_to,
                                             std::string_view sealed) {
  if (key.size() != aead_key_bytes || sealed.size() < aead_nonce_bytes + aead_tag_bytes) return std::nullopt;
  const std::size_t size = sealed.size() - aead_nonce_bytes - aead_tag_bytes;
  engine::SecretBytes plain{std::vector<std::uint8_t>(size)};
  std::string tag(sealed.substr(aead_nonce_bytes + size));
  EVP_CIPHER_CTX* const use = context();
  int length = 0;
  const bool good =
      EVP_DecryptInit_ex(use, cipher(), nullptr, key.data(), bytes_of(sealed)) == 1 &&
      EVP_DecryptUpdate(use, nullptr, &length, bytes_of(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_DecryptUpdate(use, plain.data(), &length, bytes_of(sealed) + aead_nonce_bytes, static_cast<int>(size)) == 1 &&
      EVP_CIPHER_CTX_ctrl(use, EVP_CTRL_GCM_SET_TAG, aead_tag_bytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(use, plain.data() + size, &length) == 1;
  EVP_CIPHER_CTX_reset(use);
  if (!good) return std::nullopt;
  return plain;
}

}  // namespace watchword::storage
