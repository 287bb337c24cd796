#include "engine/base32.h"

namespace watchword::engine {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a';
  if (c >= '2' && c <= '7') return c - '2' + 26;
  return -1;
}

}  // namespace

std::string base32_encode(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve((bytes.size() * 8 + 4) / 5);
  std::uint32_t held = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(held >> bits) & 31];
    }
    held &= (1u << bits) - 1;
  }
  if (bits > 0) text += alphabet[(held << (5 - bits)) & 31];
  return text;
}

std::optional<std::vector<std::uint8_t>> base32_decode(std::string_view text) {
  while (!text.empty() && (text.back() == '=' || text.back() == ' ')) text.remove_suffix(1);
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() * 5 / 8);
  std::uint32_t held = 0;
  int bits = 0;
  std::size_t characters = 0;
  for (const char c : text) {
    if (c == ' ' || c == '-') continue;
    const int value = value_of(c);
    if (value < 0) return std::nullopt;
    ++characters;
    held = (held << 5) | static_cast<std::uint32_t>(value);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(held >> bits));
      held &= (1u << bits) - 1;
    }
  }
  // A last group of 1, 3 or 6 characters encodes no whole number of bytes; what is left over must be zero.
  const std::size_t last = characters % 8;
  if (last == 1 || last == 3 || last == 6 || held != 0) return std::nullopt;
  return bytes;
}

}  // namespace watchword::engine
