#include "engine/byte_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/hex.h"
#include "engine/types.h"

namespace watchword::engine {
namespace {

bool printable_by_bytes(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

TEST(ByteWords, EachByteAtEachPlaceOfEachLengthIsLookedAt) {
  for (std::size_t length = 0; length <= 25; ++length) {
    EXPECT_TRUE(printable_ascii(std::string(length, '~')));
    for (std::size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        for (const char rest : {' ', 'a', '\x7e', '\x21'}) {
          std::string text(length, rest);
          text[at] = static_cast<char>(byte);
          ASSERT_EQ(printable_ascii(text), printable_by_bytes(text)) << length << ' ' << at << ' ' << byte;
        }
      }
    }
  }
}

TEST(ByteWords, CharactersAreCountedAlikeWhereverTheyStand) {
  EXPECT_EQ(printable_utf8_length("eight888"), 8u);
  EXPECT_EQ(printable_utf8_length("eight888\xc3\xa9"), 9u);
  EXPECT_EQ(printable_utf8_length("\xc3\xa9"), 1u);
  EXPECT_EQ(printable_utf8_length("eight888\x7f"), std::nullopt);
  EXPECT_EQ(printable_utf8_length("eight888\xc2\x80"), std::nullopt);
  EXPECT_EQ(printable_utf8_length(""), 0u);
}

TEST(Hex, NumbersHaveSixteenDigits) {
  const auto text_of = [](std::uint64_t number) {
    std::string text(hex64_digits, '?');
    write_hex64(text.data(), number);
    return text;
  };
  EXPECT_EQ(text_of(0), "0000000000000000");
  EXPECT_EQ(text_of(0x0123456789abcdef), "0123456789abcdef");
  EXPECT_EQ(text_of(~std::uint64_t{0}), "ffffffffffffffff");
}

}  // namespace
}  // namespace watchword::engine
