// base64url of: 12 random bytes (the nonce), the cipher text, 16 bytes of tag.
#include "api/sealed_text.h"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

#include "api/base64.h"

namespace watchword::api {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t sealed_bytes_max = 4096;  // what browsers keep of a cookie

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace

TextSealer::TextSealer() : key_(engine::SecretBytes::random(key_bytes)) {}

std::string TextSealer::seal(std::string_view text) const {
  const engine::SecretBytes nonce = engine::SecretBytes::random(nonce_bytes);
  std::string hidden(text.size(), '\0'), tag(tag_bytes, '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int count = 0, rest = 0;
  const bool done =
      cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), nonce.data()) == 1 &&
      EVP_EncryptUpdate(cipher.get(), bytes_of(hidden), &count, bytes_of(text), static_cast<int>(text.size())) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), bytes_of(tag), &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag_bytes), bytes_of(tag)) == 1;
  if (!done) throw std::runtime_error("sealing failed");
  return base64url_encode(std::string(reinterpret_cast<const char*>(nonce.data()), nonce_bytes) + hidden + tag);
}

std::optional<std::string> TextSealer::open(std::string_view sealed) const {
  if (sealed.size() > sealed_bytes_max) return std::nullopt;
  const std::optional<std::string> raw = base64url_decode(sealed);
  if (!raw || raw->size() < nonce_bytes + tag_bytes) return std::nullopt;
  const std::string_view all = *raw;
  const std::string_view hidden = all.substr(nonce_bytes, all.size() - nonce_bytes - tag_bytes);
  std::string tag(all.substr(all.size() - tag_bytes));
  std::string text(hidden.size(), '\0'), nothing(tag_bytes, '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int count = 0, rest = 0;
  const bool good =
      cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes_of(all)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), bytes_of(text), &count, bytes_of(hidden), static_cast<int>(hidden.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag_bytes), bytes_of(tag)) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), bytes_of(nothing), &rest) == 1;
  return good ? std::optional(std::move(text)) : std::nullopt;
}

}  // namespace watchword::api
