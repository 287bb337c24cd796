// Base32 of RFC 4648 section 6, upper case, as authenticator apps read it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace watchword::engine {

// No padding: 20 bytes give 32 characters, 16 give 26, 32 give 52, 64 give 103.
std::string base32_encode(std::span<const std::uint8_t> bytes);

// Strict in what matters, kind in what people paste: lower case, spaces, dashes and trailing '=' are taken. Refused: any
// other character (0, 1, 8, 9 among them), lengths that no byte string encodes to, trailing bits that are not zero.
std::optional<std::vector<std::uint8_t>> base32_decode(std::string_view text);

}  // namespace watchword::engine
