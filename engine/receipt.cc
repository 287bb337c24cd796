// The tag that recognises a repeated request. See receipt_tag() in verifier.h.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <cstring>

#include "engine/verifier.h"

namespace watchword::engine {

// SHA-256 over key and length-prefixed fields, cut to 64 bits. With a secret prefix of fixed length and an output cut to a
// quarter, nobody who lacks the key can make two requests with one tag. The low bit is left for the kind of answer.
std::uint64_t receipt_tag(const SecretBytes& hash_key, std::string_view caller, std::string_view user,
                          std::string_view request_id, std::string_view code, std::string_view device) noexcept {
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, hash_key.data(), hash_key.size());
  for (const std::string_view field : {caller, user, request_id, code, device}) {
    const auto length = static_cast<std::uint32_t>(field.size());
    SHA256_Update(&context, &length, sizeof length);
    SHA256_Update(&context, field.data(), field.size());
  }
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256_Final(digest, &context);
  std::uint64_t tag = 0;
  std::memcpy(&tag, digest, sizeof tag);
  tag &= ~std::uint64_t{1};
  return tag == 0 ? 2 : tag;
}

}  // namespace watchword::engine
