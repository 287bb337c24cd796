// Names of users, as the directory hashes and compares them: on the way of every verification, so without a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace watchword::engine {

// 64-bit multiply-and-fold over eight bytes at a time, seeded. Only spreads; authenticity and secrecy rest on nothing here.
inline std::uint64_t hash_user(std::string_view user) noexcept {
  constexpr std::uint64_t k = 0x9e3779b97f4a7c15;
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t hash = 0x2545f4914f6cdd1d ^ user.size();
  const char* at = user.data();
  std::size_t left = user.size();
  while (left >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    hash = fold(hash ^ word, k);
    at += 8;
    left -= 8;
  }
  // The last bytes, by reads of fixed size: with what stands before them, or put together from halves that may overlap.
  const auto read = [](const char* from, auto zero) {
    std::memcpy(&zero, from, sizeof zero);
    return std::uint64_t{zero};
  };
  std::uint64_t tail = 0;
  if (user.size() >= 8) {
    tail = read(user.data() + user.size() - 8, std::uint64_t{0});
  } else if (user.size() >= 4) {
    tail = read(user.data(), std::uint32_t{0}) << 32 | read(user.data() + user.size() - 4, std::uint32_t{0});
  } else if (!user.empty()) {
    tail = read(user.data(), std::uint8_t{0}) << 16 | read(user.data() + user.size() / 2, std::uint8_t{0}) << 8 |
           read(user.data() + user.size() - 1, std::uint8_t{0});
  }
  return fold(fold(hash ^ tail, k) ^ 0xd6e8feb86659fd93, k);
}

inline bool same_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  if (a.size() < 8) return a == b;
  const auto differ = [&](std::size_t at) {
    std::uint64_t left, right;
    std::memcpy(&left, a.data() + at, 8);
    std::memcpy(&right, b.data() + at, 8);
    return left ^ right;
  };
  // The last eight bytes may overlap those before.
  std::uint64_t difference = differ(a.size() - 8);
  for (std::size_t at = 0; at + 8 < a.size(); at += 8) difference |= differ(at);
  return difference == 0;
}

}  // namespace watchword::engine
