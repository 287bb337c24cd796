#include "engine/retired_secrets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <charconv>

#include "engine/otp.h"
#include "engine/policy.h"

namespace watchword::engine {

std::string retired_secret_name(const SecretBytes& hash_key, const SecretBytes& secret, const OtpParameters& parameters) {
  std::vector<std::uint8_t> hashed = key_state(parameters.algorithm, secret).bytes();
  hashed.push_back(static_cast<std::uint8_t>(parameters.algorithm));
  hashed.push_back(static_cast<std::uint8_t>(parameters.period_s));
  hashed.push_back(static_cast<std::uint8_t>(parameters.period_s >> 8));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  HMAC(EVP_sha256(), hash_key.data(), static_cast<int>(hash_key.size()), hashed.data(), hashed.size(), digest, &bytes);
  OPENSSL_cleanse(hashed.data(), hashed.size());
  std::string name(retired_secret_prefix);
  constexpr std::string_view hex = "0123456789abcdef";
  for (unsigned int i = 0; i < 16; ++i) {
    name += hex[digest[i] >> 4];
    name += hex[digest[i] & 15];
  }
  return name;
}

RetiredSecret RetiredSecret::after(std::int64_t last_step, std::uint16_t period_s) {
  const std::int64_t steps_kept = 2 * static_cast<std::int64_t>(window_steps_max + drift_steps_max);
  return {last_step, (last_step + steps_kept) * period_s};
}

RetiredSecret RetiredSecret::parse(std::string_view text) {
  RetiredSecret retired;
  const char* const end = text.data() + text.size();
  const auto step = std::from_chars(text.data(), end, retired.last_step);
  if (step.ec == std::errc{} && step.ptr != end) std::from_chars(step.ptr + 1, end, retired.forget_at_s);
  return retired;
}

std::string RetiredSecret::text() const {
  return std::to_string(last_step) + " " + std::to_string(forget_at_s);
}

}  // namespace watchword::engine
