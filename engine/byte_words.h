// Eight bytes of a text at a time: names are looked through at every request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace watchword::engine {

// Questions about the eight bytes of a word, whatever their order; not zero: yes.
inline constexpr std::uint64_t every_byte = 0x0101010101010101, top_bits = 0x8080808080808080;
constexpr std::uint64_t any_zero(std::uint64_t word) {
  return (word - every_byte) & ~word & top_bits;
}
constexpr std::uint64_t any_equal(std::uint64_t word, std::uint8_t byte) {
  return any_zero(word ^ every_byte * byte);
}
// `limit`: at most 128. Bytes from 128 up are not below it.
constexpr std::uint64_t any_below(std::uint64_t word, std::uint8_t limit) {
  return (word - every_byte * limit) & ~word & top_bits;
}

// Whether `asks(word)` says no about each eight bytes. A short text, and what is left at the end, is filled up with
// `filler`.
template <class Asks>
bool none_of_bytes(std::string_view text, char filler, Asks asks) {
  std::uint64_t word = 0;
  std::size_t at = 0;
  for (; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if (asks(word) != 0) return false;
  }
  if (at == text.size()) return true;
  if (text.size() >= sizeof word) {
    std::memcpy(&word, text.data() + text.size() - sizeof word, sizeof word);  // some of them once more
  } else {
    word = every_byte * static_cast<std::uint8_t>(filler);
    std::memcpy(&word, text.data(), text.size());
  }
  return asks(word) == 0;
}

// Bytes 0x20 to 0x7e, all of them.
inline bool printable_ascii(std::string_view text) {
  return none_of_bytes(text, ' ',
                       [](std::uint64_t word) { return (word & top_bits) | any_below(word, 0x20) | any_equal(word, 0x7f); });
}

}  // namespace watchword::engine
