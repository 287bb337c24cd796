// Base64 of RFC 4648: section 4 for pictures in JSON, section 5 (URL and file name safe, no padding) for keys and cursors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace watchword::api {

std::string base64_encode(std::string_view bytes);
std::string base64url_encode(std::string_view bytes);
// Exactly what base64url_encode() writes: no padding, no other alphabet, no stray bits.
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace watchword::api
