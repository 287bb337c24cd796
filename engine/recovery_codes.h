// Recovery codes: what a person keeps on paper for the day the phone is gone. Ten a set, single use.
//
// A code is sixteen characters of an alphabet of 22 without look-alikes and without vowels, 71 random bits, written in four
// groups: "CDFH-JKMN-PQRT-VWXY". Its canonical form is the sixteen characters in upper case. Two spellings are read: the
// groups with their three dashes, or none at all; letters in either case. Anything else is not in the form of a code.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace watchword::engine {

inline constexpr std::size_t recovery_codes_in_set = 10;
inline constexpr std::size_t recovery_code_characters = 16;
inline constexpr std::size_t recovery_text_bytes_max = recovery_code_characters + 3;

struct RecoveryCode {
  std::array<char, recovery_code_characters> canonical;
  static std::optional<RecoveryCode> parse(std::string_view text) noexcept;
  // Throws like SecretBytes::random.
  static RecoveryCode random();
  // In groups, as a person sees it.
  std::string text() const;
};

using RecoveryHash = std::array<std::uint8_t, 32>;
using RecoverySalt = std::array<std::uint8_t, 16>;

// Argon2id (RFC 9106), 19 MiB and two passes: some 20 ms of a core. For a capped pool of threads, never for one that a
// verification waits for. Throws std::runtime_error without memory for it.
RecoveryHash hash_recovery_code(const RecoveryCode& code, const RecoverySalt& salt);

// What is kept of a set. One salt a set, so that checking a code costs one hash and not ten; codes are random enough that
// a table over one salt helps nobody.
struct RecoverySet {
  struct Entry {
    RecoveryHash hash{};
    std::int64_t used_at_s = 0;  // 0: not used
    std::uint64_t receipt = 0;   // of the request that used it; 0: none
  };
  std::int64_t made_at_s = 0;
  RecoverySalt salt{};
  std::vector<Entry> entries;

  unsigned left() const;
  // The entry of this hash, compared without a branch on it; nullptr: none.
  Entry* find(const RecoveryHash& hash);

  // The document that holds the set; see recovery_codes.cc for its text. parse() throws std::runtime_error on what is none.
  static std::string document_name(std::uint64_t user_number);
  std::string text() const;
  static RecoverySet parse(std::string_view text);
};

}  // namespace watchword::engine
