#include "storage/aead.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstring>
#include <memory>
#include <new>
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

// A context that has its cipher, and the key that it was last used with: most uses set a nonce and nothing else. Data keys
// live as long as the process, so a copy of their schedule beside them gives nothing away.
class Context {
 public:
  explicit Context(int sealing) : sealing_(sealing), context_(EVP_CIPHER_CTX_new()) {
    if (!context_ || EVP_CipherInit_ex(context_.get(), cipher(), nullptr, nullptr, nullptr, sealing_) != 1)
      throw std::bad_alloc();
  }
  bool set(const engine::SecretBytes& key, const unsigned char* nonce) {
    if (key.size() != aead_key_bytes) return false;
    const bool same = key_.size() == key.size() && CRYPTO_memcmp(key_.data(), key.data(), key.size()) == 0;
    if (!same) key_ = key;
    return EVP_CipherInit_ex(context_.get(), nullptr, nullptr, same ? nullptr : key.data(), nonce, sealing_) == 1;
  }
  EVP_CIPHER_CTX* get() { return context_.get(); }
  void forget() {
    key_ = {};
    // Resetting wipes the schedule of the last key.
    if (EVP_CIPHER_CTX_reset(context_.get()) != 1 ||
        EVP_CipherInit_ex(context_.get(), cipher(), nullptr, nullptr, nullptr, sealing_) != 1) {
      throw std::bad_alloc();
    }
  }

 private:
  const int sealing_;
  std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context_;
  engine::SecretBytes key_;
};

// Drawn many at a time: the generator's price is by the call.
bool draw_nonce(unsigned char* out) {
  constexpr std::size_t nonces_drawn = 64;
  thread_local std::array<unsigned char, nonces_drawn * aead_nonce_bytes> drawn;
  thread_local std::size_t left = 0;
  if (left == 0) {
    if (RAND_bytes(drawn.data(), static_cast<int>(drawn.size())) != 1) return false;
    left = nonces_drawn;
  }
  std::memcpy(out, drawn.data() + --left * aead_nonce_bytes, aead_nonce_bytes);
  return true;
}

Context& sealing_context() {
  thread_local Context context(1);
  return context;
}
Context& opening_context() {
  thread_local Context context(0);
  return context;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string aead_seal(const engine::SecretBytes& key, std::string_view bound_to, std::span<const std::uint8_t> plain) {
  std::string sealed(aead_nonce_bytes + plain.size() + aead_tag_bytes, '\0');
  auto* const out = reinterpret_cast<unsigned char*>(sealed.data());
  Context& context = sealing_context();
  EVP_CIPHER_CTX* const use = context.get();
  int length = 0;
  const bool good =
      draw_nonce(out) && context.set(key, out) &&
      EVP_EncryptUpdate(use, nullptr, &length, bytes_of(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_EncryptUpdate(use, out + aead_nonce_bytes, &length, plain.data(), static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(use, out + aead_nonce_bytes + plain.size(), &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(use, EVP_CTRL_GCM_GET_TAG, aead_tag_bytes, out + aead_nonce_bytes + plain.size()) == 1;
  if (!good) throw std::runtime_error("sealing failed");
  return sealed;
}

std::optional<engine::SecretBytes> aead_open(const engine::SecretBytes& key, std::string_view bound_to,
                                             std::string_view sealed) {
  if (sealed.size() < aead_nonce_bytes + aead_tag_bytes) return std::nullopt;
  const std::size_t size = sealed.size() - aead_nonce_bytes - aead_tag_bytes;
  engine::SecretBytes plain{std::vector<std::uint8_t>(size)};
  std::string tag(sealed.substr(aead_nonce_bytes + size));
  Context& context = opening_context();
  EVP_CIPHER_CTX* const use = context.get();
  int length = 0;
  const bool good =
      context.set(key, bytes_of(sealed)) &&
      EVP_DecryptUpdate(use, nullptr, &length, bytes_of(bound_to), static_cast<int>(bound_to.size())) == 1 &&
      EVP_DecryptUpdate(use, plain.data(), &length, bytes_of(sealed) + aead_nonce_bytes, static_cast<int>(size)) == 1 &&
      EVP_CIPHER_CTX_ctrl(use, EVP_CTRL_GCM_SET_TAG, aead_tag_bytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(use, plain.data() + size, &length) == 1;
  if (!good) return std::nullopt;
  return plain;
}

void aead_forget_keys() {
  sealing_context().forget();
  opening_context().forget();
}

}  // namespace watchword::storage
