// AES-256-GCM as everything here is sealed: a fresh random nonce of 96 bits, then the ciphertext, then the tag of 128 bits.
// Thread-safe. One key must seal fewer than 2^32 times (NIST SP 800-38D, random nonces).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::storage {

inline constexpr std::size_t aead_key_bytes = 32;
inline constexpr std::size_t aead_nonce_bytes = 12;
inline constexpr std::size_t aead_tag_bytes = 16;

// Throws std::runtime_error when OpenSSL fails.
std::string aead_seal(const engine::SecretBytes& key, std::string_view bound_to, std::span<const std::uint8_t> plain);
// nullopt: wrong key, bound to something else, or changed.
std::optional<engine::SecretBytes> aead_open(const engine::SecretBytes& key, std::string_view bound_to,
                                             std::string_view sealed);

// What this thread sealed and opened with last is kept for the next time; this wipes it. For keys that must not stay.
void aead_forget_keys();

}  // namespace watchword::storage
