#include "api/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "api/base64.h"
#include "engine/types.h"

namespace watchword::api {

std::string random_token() {
  constexpr std::size_t token_bytes = 32;
  const engine::SecretBytes bytes = engine::SecretBytes::random(token_bytes);
  return base64url_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned bytes = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &bytes, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 failed");
  }
  return {reinterpret_cast<const char*>(digest.data()), bytes};
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += digits[value >> 4];
    text += digits[value & 15];
  }
  return text;
}

// Sixteen bytes at a time: heads of requests are compared here too, each one.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  using Sixteen = std::uint64_t __attribute__((vector_size(16)));
  if (a.size() != b.size()) return false;
  Sixteen differences{}, left{}, right{};
  const auto compare = [&](std::size_t at) {
    std::memcpy(&left, a.data() + at, sizeof left);
    std::memcpy(&right, b.data() + at, sizeof right);
    differences |= left ^ right;
  };
  std::size_t at = 0;
  for (; at + sizeof left <= a.size(); at += sizeof left) compare(at);
  if (at > 0) {
    compare(a.size() - sizeof left);  // some of them once more
    at = a.size();
  }
  std::uint64_t difference = differences[0] | differences[1];
  for (; at < a.size(); ++at) difference |= static_cast<std::uint64_t>(static_cast<unsigned char>(a[at] ^ b[at]));
  asm volatile("" : "+r"(difference));  // not looked at before the end
  return difference == 0;
}

}  // namespace watchword::api
