// ID tokens of OpenID Connect (Core 1.0 section 3.1.3.7), checked before anything in them is believed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <tl/expected.hpp>

namespace watchword::api {

struct IdTokenExpectation {
  std::string issuer;
  std::string client_id;
  std::string nonce;
  std::int64_t clock_skew_s = 60;
};

enum class IdTokenFault : std::uint8_t {
  malformed,
  algorithm,    // not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512; `none` never
  unknown_key,  // no key of the set fits: perhaps the provider has new ones
  signature,
  issuer,
  audience,
  expired,
  not_yet_valid,
  nonce,
};
std::string_view to_string(IdTokenFault fault);

// `jwks` is the provider's key set as it was sent. Returns the claims of a token that passes.
tl::expected<boost::json::object, IdTokenFault> check_id_token(std::string_view token, std::string_view jwks,
                                                               const IdTokenExpectation& expected, std::int64_t now_s);

}  // namespace watchword::api
