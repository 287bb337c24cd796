// Short texts that a browser keeps for us and can neither read nor change: AES-256-GCM under a key that only this process
// has. After a restart none opens any more. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::api {

class TextSealer {
 public:
  TextSealer();
  // Fit for a cookie. Throws std::runtime_error where OpenSSL fails.
  std::string seal(std::string_view text) const;
  // nullopt: nothing that this sealer sealed.
  std::optional<std::string> open(std::string_view sealed) const;

 private:
  const engine::SecretBytes key_;
};

}  // namespace watchword::api
