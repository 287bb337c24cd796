#define OPENSSL_SUPPRESS_DEPRECATED
#include "engine/otp.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include "engine/otp_truncation.h"

namespace watchword::engine {
namespace {

// One hash, reduced to what HMAC from midstates needs: OpenSSL's compression function over a state of words.
struct Sha1 {
  using Word = SHA_LONG;
  static constexpr std::size_t block = 64, state_words = 5, digest_words = 5;
  static void begin(Word* state) {
    SHA_CTX context;
    SHA1_Init(&context);
    std::memcpy(state, &context.h0, sizeof(Word) * state_words);
  }
  static void compress(Word* state, const std::uint8_t* bytes) {
    SHA_CTX context{};
    std::memcpy(&context.h0, state, sizeof(Word) * state_words);
    SHA1_Transform(&context, bytes);
    std::memcpy(state, &context.h0, sizeof(Word) * state_words);
  }
  static void hash(std::span<const std::uint8_t> bytes, std::uint8_t* out) { SHA1(bytes.data(), bytes.size(), out); }
};

struct Sha256 {
  using Word = SHA_LONG;
  static constexpr std::size_t block = 64, state_words = 8, digest_words = 8;
  static void begin(Word* state) {
    SHA256_CTX context;
    SHA256_Init(&context);
    std::memcpy(state, context.h, sizeof context.h);
  }
  static void compress(Word* state, const std::uint8_t* bytes) {
    SHA256_CTX context{};
    std::memcpy(context.h, state, sizeof context.h);
    SHA256_Transform(&context, bytes);
    std::memcpy(state, context.h, sizeof context.h);
  }
  static void hash(std::span<const std::uint8_t> bytes, std::uint8_t* out) { SHA256(bytes.data(), bytes.size(), out); }
};

struct Sha512 {
  using Word = std::uint64_t;
  static constexpr std::size_t block = 128, state_words = 8, digest_words = 8;
  static void begin(Word* state) {
    SHA512_CTX context;
    SHA512_Init(&context);
    std::memcpy(state, context.h, sizeof context.h);
  }
  static void compress(Word* state, const std::uint8_t* bytes) {
    SHA512_CTX context{};
    std::memcpy(context.h, state, sizeof context.h);
    SHA512_Transform(&context, bytes);
    std::memcpy(state, context.h, sizeof context.h);
  }
  static void hash(std::span<const std::uint8_t> bytes, std::uint8_t* out) { SHA512(bytes.data(), bytes.size(), out); }
};

template <class Word>
void store_big_endian(std::uint8_t* out, Word word) {
  for (std::size_t i = 0; i < sizeof(Word); ++i) out[i] = static_cast<std::uint8_t>(word >> (8 * (sizeof(Word) - 1 - i)));
}

// RFC 2104: a key longer than a block is hashed first; the state after the padded key block is all that is kept of it.
template <class Hash>
void derive(std::span<const std::uint8_t> secret, std::uint8_t* key_state) {
  std::uint8_t key[Hash::block] = {};
  if (secret.size() > Hash::block) {
    Hash::hash(secret, key);
  } else if (!secret.empty()) {
    std::memcpy(key, secret.data(), secret.size());
  }
  for (const std::uint8_t pad : {std::uint8_t{0x36}, std::uint8_t{0x5c}}) {
    std::uint8_t padded[Hash::block];
    for (std::size_t i = 0; i < Hash::block; ++i) padded[i] = key[i] ^ pad;
    typename Hash::Word state[Hash::state_words];
    Hash::begin(state);
    Hash::compress(state, padded);
    std::memcpy(key_state, state, sizeof state);
    key_state += sizeof state;
    OPENSSL_cleanse(padded, sizeof padded);
    OPENSSL_cleanse(state, sizeof state);
  }
  OPENSSL_cleanse(key, sizeof key);
}

template <class Hash>
void truncate_with(const std::uint8_t* key_state, std::uint64_t first_counter, std::size_t count, std::uint32_t* out) {
  using Word = typename Hash::Word;
  constexpr std::size_t digest_bytes = Hash::digest_words * sizeof(Word);
  constexpr std::size_t state_bytes = Hash::state_words * sizeof(Word);
  std::uint8_t inner[Hash::block] = {}, outer[Hash::block] = {};
  inner[8] = 0x80;
  store_big_endian(inner + Hash::block - 8, std::uint64_t{(Hash::block + 8) * 8});
  outer[digest_bytes] = 0x80;
  store_big_endian(outer + Hash::block - 8, std::uint64_t{(Hash::block + digest_bytes) * 8});
  Word state[Hash::state_words];
  for (std::size_t i = 0; i < count; ++i) {
    store_big_endian(inner, first_counter + i);
    std::memcpy(state, key_state, state_bytes);
    Hash::compress(state, inner);
    for (std::size_t w = 0; w < Hash::digest_words; ++w) store_big_endian(outer + w * sizeof(Word), state[w]);
    std::memcpy(state, key_state + state_bytes, state_bytes);
    Hash::compress(state, outer);
    std::uint8_t digest[digest_bytes];
    for (std::size_t w = 0; w < Hash::digest_words; ++w) store_big_endian(digest + w * sizeof(Word), state[w]);
    out[i] = truncate_digest(digest, digest_bytes);
  }
}

void openssl_truncate(Algorithm algorithm, const std::uint8_t* key_state, std::uint64_t first_counter, std::size_t count,
                      std::uint32_t* out) {
  switch (algorithm) {
    case Algorithm::sha1:
      return truncate_with<Sha1>(key_state, first_counter, count, out);
    case Algorithm::sha256:
      return truncate_with<Sha256>(key_state, first_counter, count, out);
    case Algorithm::sha512:
      return truncate_with<Sha512>(key_state, first_counter, count, out);
  }
}

}  // namespace

void derive_key_state(Algorithm algorithm, std::span<const std::uint8_t> secret, std::uint8_t* key_state) {
  switch (algorithm) {
    case Algorithm::sha1:
      return derive<Sha1>(secret, key_state);
    case Algorithm::sha256:
      return derive<Sha256>(secret, key_state);
    case Algorithm::sha512:
      return derive<Sha512>(secret, key_state);
  }
}

SecretBytes key_state(Algorithm algorithm, const SecretBytes& secret) {
  alignas(8) std::uint8_t state[key_state_bytes_max];
  derive_key_state(algorithm, secret.bytes(), state);
  SecretBytes bytes(std::vector<std::uint8_t>(state, state + key_state_bytes(algorithm)));
  OPENSSL_cleanse(state, sizeof state);
  return bytes;
}

const HmacKernel& openssl_kernel() {
  static constexpr HmacKernel kernel{"openssl", openssl_truncate};
  return kernel;
}

const HmacKernel& best_kernel() {
  // Without the SHA extensions, vectors are the quicker way for several keys at once; with them, they are not.
  static const HmacKernel vectors{"openssl, avx2 for batches", openssl_truncate, avx2_side_by_side()};
  static const HmacKernel& chosen = sha_extensions_kernel() != nullptr ? *sha_extensions_kernel()
                                    : avx2_side_by_side() != nullptr   ? vectors
                                                                       : openssl_kernel();
  return chosen;
}

std::uint32_t code_modulus(std::uint8_t digits) {
  switch (digits) {
    case 6:
      return 1'000'000;
    case 7:
      return 10'000'000;
    default:
      return 100'000'000;
  }
}

std::string format_code(std::uint32_t truncated, std::uint8_t digits) {
  const std::string number = std::to_string(truncated % code_modulus(digits));
  return std::string(digits - std::min<std::size_t>(digits, number.size()), '0') + number;
}

std::string totp(const OtpParameters& parameters, std::span<const std::uint8_t> secret, UnixMillis now) {
  alignas(8) std::uint8_t key_state[key_state_bytes_max];
  derive_key_state(parameters.algorithm, secret, key_state);
  std::uint32_t value = 0;
  openssl_truncate(parameters.algorithm, key_state, static_cast<std::uint64_t>(step_at(now, parameters.period_s)), 1,
                   &value);
  OPENSSL_cleanse(key_state, sizeof key_state);
  return format_code(value, parameters.digits);
}

}  // namespace watchword::engine
