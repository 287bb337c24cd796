// Dynamic truncation (RFC 4226 section 5.3), for the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace watchword::engine {

inline std::uint32_t truncate_digest(const std::uint8_t* digest, std::size_t bytes) {
  const std::size_t at = digest[bytes - 1] & 15;
  return (static_cast<std::uint32_t>(digest[at] & 0x7f) << 24) | (static_cast<std::uint32_t>(digest[at + 1]) << 16) |
         (static_cast<std::uint32_t>(digest[at + 2]) << 8) | digest[at + 3];
}

// The same from big-endian words in host order: the offset reaches at most into the fifth word.
inline std::uint32_t truncate_words(const std::uint32_t* words, std::uint32_t last_word) {
  const std::uint32_t at = last_word & 15;
  const std::uint64_t pair = (static_cast<std::uint64_t>(words[at >> 2]) << 32) | words[(at >> 2) + 1];
  return static_cast<std::uint32_t>(pair >> (32 - 8 * (at & 3))) & 0x7fffffff;
}

}  // namespace watchword::engine
