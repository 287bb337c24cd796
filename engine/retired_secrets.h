// Notes about secrets that were removed: a secret that is registered again must not bring its used codes back to life. A
// note is kept as long as a window could still hold the last used step.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::engine {

// Documents of the store that are such notes begin with this.
inline constexpr std::string_view retired_secret_prefix = "retired-secret/";

// The note's name: a keyed hash of what decides the codes and their steps. Tells nothing about the secret.
std::string retired_secret_name(const SecretBytes& hash_key, const SecretBytes& secret, const OtpParameters& parameters);

struct RetiredSecret {
  std::int64_t last_step = -1;
  std::int64_t forget_at_s = 0;

  static RetiredSecret after(std::int64_t last_step, std::uint16_t period_s);
  static RetiredSecret parse(std::string_view text);
  // -1 when the note has served its time.
  std::int64_t step_to_respect(UnixMillis now) const { return now.seconds() <= forget_at_s ? last_step : -1; }
  std::string text() const;
};

}  // namespace watchword::engine
