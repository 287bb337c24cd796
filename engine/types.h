// The values that cross every border of Watchword. Each is parsed once, at the edge, into a type that cannot be wrong.
// All are plain values: copyable, no locks, no ownership beyond their own bytes.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchword::engine {

inline constexpr std::size_t user_bytes_max = 256;
inline constexpr std::size_t device_name_characters_max = 64;
inline constexpr std::size_t device_name_bytes_max = device_name_characters_max * 4;
inline constexpr std::uint16_t period_s_min = 15;
inline constexpr std::uint16_t period_s_max = 300;
inline constexpr std::uint8_t digits_min = 6;
inline constexpr std::uint8_t digits_max = 8;
// RFC 4226 section 4, R6: 128 bits at least; the short form is for old estates that say so.
inline constexpr std::size_t secret_bytes_min = 16;
inline constexpr std::size_t short_secret_bytes_min = 10;
inline constexpr std::size_t secret_bytes_max = 256;

// Wall-clock time in milliseconds since the Unix epoch, UTC. Read once per batch of work and passed in as a value.
struct UnixMillis {
  std::int64_t value = 0;
  auto operator<=>(const UnixMillis&) const = default;
  std::int64_t seconds() const { return value / 1000; }
};

// The wall clock. Good for as long as the type is: std::chrono's clock counts nanoseconds, which end in 2262.
UnixMillis wall_now() noexcept;

enum class Algorithm : std::uint8_t { sha1 = 1, sha256 = 2, sha512 = 3 };

// "SHA1", "SHA256", "SHA512", as the otpauth URI and the REST contract spell them.
std::string_view to_string(Algorithm algorithm);
// Exact spelling only; nothing is guessed (an unknown algorithm is never silently SHA1).
std::optional<Algorithm> parse_algorithm(std::string_view text);
// Length in bytes of a secret made for this algorithm: the HMAC's output length (RFC 6238 section 5.1).
std::size_t made_secret_bytes(Algorithm algorithm);

struct OtpParameters {
  Algorithm algorithm = Algorithm::sha1;
  std::uint8_t digits = 6;
  std::uint16_t period_s = 30;
  bool operator==(const OtpParameters&) const = default;
};

// True for 6 to 8 digits and 15 to 300 s.
bool valid(const OtpParameters& parameters);

// The time step of RFC 6238 section 4.2 (T0 = 0), 64 bits wide so that it outlives 2038.
std::int64_t step_at(UnixMillis now, std::uint16_t period_s);

// A one-time password as typed: six to eight ASCII digits, nothing else, nothing trimmed.
struct Code {
  std::uint32_t value = 0;
  std::uint8_t digits = 0;
  static std::optional<Code> parse(std::string_view text);
};

// 1 to 256 bytes of UTF-8 without control characters, compared byte for byte.
class UserName {
 public:
  static std::optional<UserName> parse(std::string_view text);
  const std::string& text() const { return text_; }
  auto operator<=>(const UserName&) const = default;

 private:
  explicit UserName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};
bool valid_user(std::string_view text);

// 1 to 64 characters of UTF-8 without control characters.
bool valid_device_name(std::string_view text);

// Valid UTF-8 (no overlong forms, no surrogates) without U+0000-U+001F, U+007F-U+009F. Returns the number of characters.
std::optional<std::size_t> printable_utf8_length(std::string_view text);

// A device's public name in URLs and answers: 64 random bits as sixteen lower-case hexadecimal digits. Zero is no device.
struct DeviceId {
  std::uint64_t value = 0;
  auto operator<=>(const DeviceId&) const = default;
  std::string text() const;
  static std::optional<DeviceId> parse(std::string_view text);
};

// A user's number inside the store: given once, never used again. Zero is none.
struct UserNumber {
  std::uint64_t value = 0;
  auto operator<=>(const UserNumber&) const = default;
};

// Bytes that are wiped when they go: secrets and keys.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  SecretBytes(const SecretBytes&) = default;
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
  SecretBytes& operator=(const SecretBytes& other);
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes();
  const std::uint8_t* data() const { return bytes_.data(); }
  std::uint8_t* data() { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  // Cryptographically random bytes from OpenSSL. Throws std::runtime_error when the generator fails: there is no fallback.
  static SecretBytes random(std::size_t size);

 private:
  std::vector<std::uint8_t> bytes_;
};

// One random 64-bit number that is not zero, from OpenSSL; throws like SecretBytes::random.
std::uint64_t random_nonzero_u64();

}  // namespace watchword::engine
