// Text into JSON, for answers that are written by hand because they are written a hundred thousand times a second.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/byte_words.h"
#include "engine/hex.h"

namespace watchword::api {

// Bytes that stand for themselves in a JSON string.
inline bool needs_no_escape(std::string_view text) {
  return engine::none_of_bytes(text, ' ', [](std::uint64_t word) {
    return engine::any_below(word, 0x20) | engine::any_equal(word, '"') | engine::any_equal(word, '\\');
  });
}

// A JSON string with its quotes. The text is UTF-8.
inline void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out += '"';
  if (needs_no_escape(text)) {
    out.append(text);
    out += '"';
    return;
  }
  std::size_t plain = 0;  // begin of what needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text.substr(plain, i - plain));
    plain = i + 1;
    out += '\\';
    if (byte >= 0x20) {
      out += text[i];
    } else {
      out += "u00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    }
  }
  out.append(text.substr(plain));
  out += '"';
}

template <std::integral Number>
void append_number(std::string& out, Number number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Sixteen lower-case hexadecimal digits: how ids are written.
inline void append_hex64(std::string& out, std::uint64_t number) {
  char digits[engine::hex64_digits];
  engine::write_hex64(digits, number);
  out.append(digits, sizeof digits);
}

}  // namespace watchword::api
