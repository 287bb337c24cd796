// HOTP (RFC 4226) and TOTP (RFC 6238) values from key states instead of keys: two compressions a code instead of four.
// Everything here is pure and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::engine {

// A key state is the pair of hash midstates after the inner and the outer padded key block (RFC 2104), as host-order words:
// 2 x 5 x u32 for SHA-1, 2 x 8 x u32 for SHA-256, 2 x 8 x u64 for SHA-512. It is as secret as the key.
inline constexpr std::size_t key_state_bytes_max = 128;
constexpr std::size_t key_state_bytes(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::sha1:
      return 40;
    case Algorithm::sha256:
      return 64;
    case Algorithm::sha512:
      return 128;
  }
  return 0;
}

// Writes key_state_bytes(algorithm) bytes to `key_state` (8-byte aligned). Keys longer than a block are hashed first (RFC
// 2104).
void derive_key_state(Algorithm algorithm, std::span<const std::uint8_t> secret, std::uint8_t* key_state);
// The same as bytes of their own. Secrets that HMAC cannot tell apart (one with zeros behind it, the digest of a long one)
// have one key state: what shows the same codes compares equal here.
SecretBytes key_state(Algorithm algorithm, const SecretBytes& secret);

struct CodeJob {
  const std::uint8_t* key_state;
  std::uint64_t counter;
  std::uint32_t* out;
};
using SideBySide = void (*)(const CodeJob* jobs, std::size_t count);

// One way to compute many HMACs. `truncate(algorithm, key_state, first_counter, count, out)` writes, for counters
// first_counter
// .. first_counter + count - 1, the 31-bit dynamically truncated value (RFC 4226 section 5.3) to out[0 .. count-1].
struct HmacKernel {
  const char* name;
  void (*truncate)(Algorithm algorithm, const std::uint8_t* key_state, std::uint64_t first_counter, std::size_t count,
                   std::uint32_t* out);
  // The same with SHA-1 for many keys, one counter each. nullptr: one after the other is as good.
  SideBySide sha1_side_by_side = nullptr;
};
// Low-level OpenSSL compressions from midstates: runs everywhere, and is the oracle of the others.
const HmacKernel& openssl_kernel();
// x86 SHA extensions for SHA-1 and SHA-256, up to four counters interleaved; SHA-512 as in openssl_kernel. nullptr if the
// processor lacks them.
const HmacKernel* sha_extensions_kernel();
// Eight keys at a time with AVX2. nullptr if the processor lacks it.
SideBySide avx2_side_by_side();
// The fastest kernel that this processor runs, chosen once.
const HmacKernel& best_kernel();

// 10^digits for 6 to 8 digits.
std::uint32_t code_modulus(std::uint8_t digits);
// value % 10^digits, with leading zeros.
std::string format_code(std::uint32_t truncated, std::uint8_t digits);

// The code for one moment, straight from a secret (tests, portal help, confirmation help).
std::string totp(const OtpParameters& parameters, std::span<const std::uint8_t> secret, UnixMillis now);

}  // namespace watchword::engine
