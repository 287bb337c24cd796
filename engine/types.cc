#include "engine/types.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <time.h>

#include <stdexcept>
#include <utility>

#include "engine/byte_words.h"
#include "engine/hex.h"

namespace watchword::engine {

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::sha1:
      return "SHA1";
    case Algorithm::sha256:
      return "SHA256";
    case Algorithm::sha512:
      return "SHA512";
  }
  return "unknown";
}

std::optional<Algorithm> parse_algorithm(std::string_view text) {
  for (const Algorithm algorithm : {Algorithm::sha1, Algorithm::sha256, Algorithm::sha512}) {
    if (text == to_string(algorithm)) return algorithm;
  }
  return std::nullopt;
}

std::size_t made_secret_bytes(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::sha1:
      return 20;
    case Algorithm::sha256:
      return 32;
    case Algorithm::sha512:
      return 64;
  }
  return 64;
}

bool valid(const OtpParameters& parameters) {
  return parameters.digits >= digits_min && parameters.digits <= digits_max && parameters.period_s >= period_s_min &&
         parameters.period_s <= period_s_max;
}

UnixMillis wall_now() noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return {std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000};
}

std::int64_t step_at(UnixMillis now, std::uint16_t period_s) {
  return now.value < 0 ? 0 : now.value / 1000 / period_s;
}

std::optional<Code> Code::parse(std::string_view text) {
  if (text.size() < digits_min || text.size() > digits_max) return std::nullopt;
  Code code{.value = 0, .digits = static_cast<std::uint8_t>(text.size())};
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    code.value = code.value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return code;
}

std::optional<std::size_t> printable_utf8_length(std::string_view text) {
  if (printable_ascii(text)) return text.size();
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); ++characters) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(at);
    const std::size_t length = lead < 0x80           ? 1
                               : (lead >> 5) == 0x06 ? 2
                               : (lead >> 4) == 0x0e ? 3
                               : (lead >> 3) == 0x1e ? 4
                                                     : 0;
    if (length == 0 || at + length > text.size()) return std::nullopt;
    std::uint32_t point = length == 1 ? lead : lead & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
      if ((byte(at + i) & 0xc0) != 0x80) return std::nullopt;
      point = (point << 6) | (byte(at + i) & 0x3fu);
    }
    constexpr std::uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < shortest[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return std::nullopt;
    if (point < 0x20 || (point >= 0x7f && point <= 0x9f)) return std::nullopt;
    at += length;
  }
  return characters;
}

bool valid_user(std::string_view text) {
  return !text.empty() && text.size() <= user_bytes_max && printable_utf8_length(text).has_value();
}

std::optional<UserName> UserName::parse(std::string_view text) {
  if (!valid_user(text)) return std::nullopt;
  return UserName(std::string(text));
}

bool valid_device_name(std::string_view text) {
  const std::optional<std::size_t> characters = printable_utf8_length(text);
  return characters && *characters >= 1 && *characters <= device_name_characters_max;
}

std::string DeviceId::text() const {
  std::string text(hex64_digits, '0');
  write_hex64(text.data(), value);
  return text;
}

std::optional<DeviceId> DeviceId::parse(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  DeviceId id;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    id.value = (id.value << 4) | static_cast<std::uint64_t>(digit);
  }
  if (id.value == 0) return std::nullopt;
  return id;
}

SecretBytes& SecretBytes::operator=(const SecretBytes& other) {
  if (this == &other) return *this;
  std::vector<std::uint8_t> copy(other.bytes_);
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
  bytes_.swap(copy);
  return *this;
}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this == &other) return *this;
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
  bytes_ = std::exchange(other.bytes_, {});
  return *this;
}

SecretBytes::~SecretBytes() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

namespace {
void fill_random(unsigned char* out, std::size_t bytes) {
  if (RAND_priv_bytes(out, static_cast<int>(bytes)) != 1) throw std::runtime_error("the random number generator failed");
}
}  // namespace

SecretBytes SecretBytes::random(std::size_t size) {
  SecretBytes secret{std::vector<std::uint8_t>(size)};
  fill_random(secret.data(), size);
  return secret;
}

std::uint64_t random_nonzero_u64() {
  std::uint64_t value = 0;
  while (value == 0) fill_random(reinterpret_cast<unsigned char*>(&value), sizeof value);
  return value;
}

}  // namespace watchword::engine
