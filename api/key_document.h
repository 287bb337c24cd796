// API keys as the store has them. Part of AccessKeys.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/access_keys.h"

namespace watchword::api {

using KeyDigest = std::array<std::uint8_t, 32>;

// SHA-256 of a whole key as it is presented, and until when it counts.
struct KeySecret {
  static constexpr std::int64_t always = INT64_MAX;
  KeyDigest digest{};
  std::int64_t until_s = always;  // of one that a rotation replaced: its end
};

struct KeyRecord {
  std::uint64_t id = 0;
  std::vector<KeySecret> secrets;  // the current one first
  AccessKeyView view;              // without its last use, which is written apart
};

inline constexpr std::string_view key_document_prefix = "api-key/";
inline constexpr std::string_view key_use_document_prefix = "api-key-used/";

std::string key_id_text(std::uint64_t id);
// 16 lower-case hexadecimal digits.
std::optional<std::uint64_t> parse_key_id(std::string_view text);

std::string write_key_document(const KeyRecord& record);
// `id` as it stands in the document's name. Throws std::exception where it cannot be read.
KeyRecord read_key_document(std::string_view id, std::string_view text);

std::string write_key_use_document(std::int64_t last_used_at_s);
std::int64_t read_key_use_document(std::string_view text);

}  // namespace watchword::api
