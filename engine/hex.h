// Numbers as text of a fixed length.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace watchword::engine {

namespace detail {
// Two digits for each byte.
inline constexpr auto hex_pairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {"0123456789abcdef"[i >> 4], "0123456789abcdef"[i & 15]};
  return pairs;
}();
}  // namespace detail

inline constexpr std::size_t hex64_digits = 16;

// Sixteen lower-case hexadecimal digits, without an end: how ids are written.
inline void write_hex64(char* out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8, out += 2) {
    std::memcpy(out, detail::hex_pairs[(number >> shift) & 0xff].data(), 2);
  }
}

}  // namespace watchword::engine
