// Random tokens and their fingerprints: what a browser holds is random, what the server keeps is a hash of it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace watchword::api {

// 256 random bits as 43 characters of base64url.
std::string random_token();
// SHA-256, as 32 raw bytes.
std::string sha256(std::string_view text);
std::string hex(std::string_view bytes);
// In a time that depends on the lengths alone.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace watchword::api
