#include "api/id_token.h"

#include <cjose/cjose.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include <boost/json.hpp>

#include "api/digest.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::size_t token_bytes_max = 64 * 1024;
constexpr std::size_t rsa_bits_min = 2048;
constexpr std::size_t candidates_max = 16;  // keys that are tried on one token, where it does not say which

struct FreeJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
struct FreeJwk {
  void operator()(cjose_jwk_t* jwk) const { cjose_jwk_release(jwk); }
};
using Jws = std::unique_ptr<cjose_jws_t, FreeJws>;
using Jwk = std::unique_ptr<cjose_jwk_t, FreeJwk>;

// The family of keys that an algorithm signs with: a public RSA key never serves as an HMAC secret.
std::optional<cjose_jwk_kty_t> key_type(std::string_view algorithm) {
  constexpr std::array<std::string_view, 6> rsa = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
  constexpr std::array<std::string_view, 3> ec = {"ES256", "ES384", "ES512"};
  if (std::find(rsa.begin(), rsa.end(), algorithm) != rsa.end()) return CJOSE_JWK_KTY_RSA;
  if (std::find(ec.begin(), ec.end(), algorithm) != ec.end()) return CJOSE_JWK_KTY_EC;
  return std::nullopt;
}

// The curve that goes with an algorithm (RFC 7518 section 3.4); empty: it has none.
std::string_view curve_of(std::string_view algorithm) {
  if (algorithm == "ES256") return "P-256";
  if (algorithm == "ES384") return "P-384";
  if (algorithm == "ES512") return "P-521";
  return {};
}

std::string_view text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

std::optional<std::int64_t> seconds_of(const json::object& claims, std::string_view name) {
  const json::value* const value = claims.if_contains(json::string_view(name.data(), name.size()));
  if (value == nullptr) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  constexpr double far = 1e15;
  if (value->is_double() && value->get_double() > -far && value->get_double() < far) {
    return static_cast<std::int64_t>(value->get_double());
  }
  return std::nullopt;
}

// Whether what a key says about its own use allows checking signatures (RFC 7517 sections 4.2 to 4.4).
bool may_verify(const json::object& key, std::string_view algorithm) {
  if (const std::string_view use = text_of(key, "use"); !use.empty() && use != "sig") return false;
  if (const std::string_view alg = text_of(key, "alg"); !alg.empty() && alg != algorithm) return false;
  if (const std::string_view curve = curve_of(algorithm); !curve.empty() && text_of(key, "crv") != curve) return false;
  const json::value* const operations = key.if_contains("key_ops");
  if (operations == nullptr) return true;
  if (!operations->is_array()) return false;
  const json::array& all = operations->get_array();
  return std::find(all.begin(), all.end(), json::value("verify")) != all.end();
}

// The set's keys that may have signed: of the right family, for signatures, and of the token's key id where it names one.
std::vector<Jwk> fitting_keys(std::string_view jwks, cjose_jwk_kty_t type, std::string_view algorithm,
                              std::string_view kid) {
  std::vector<Jwk> keys;
  json::error_code error;
  const json::value parsed = json::parse({jwks.data(), jwks.size()}, error);
  if (error || !parsed.is_object()) return keys;
  const json::value* const list = parsed.get_object().if_contains("keys");
  if (list == nullptr || !list->is_array()) return keys;
  for (const json::value& one : list->get_array()) {
    if (!one.is_object() || keys.size() >= candidates_max) continue;
    const json::object& fields = one.get_object();
    if (!kid.empty() && text_of(fields, "kid") != kid) continue;
    if (!may_verify(fields, algorithm)) continue;
    const std::string text = json::serialize(fields);
    cjose_err fault{};
    Jwk key(cjose_jwk_import(text.data(), text.size(), &fault));
    if (!key || cjose_jwk_get_kty(key.get(), &fault) != type) continue;
    if (type == CJOSE_JWK_KTY_RSA && cjose_jwk_get_keysize(key.get(), &fault) < rsa_bits_min) continue;
    keys.push_back(std::move(key));
  }
  return keys;
}

bool is_for(const json::object& claims, const std::string& client) {
  const json::value* const audience = claims.if_contains("aud");
  if (audience == nullptr) return false;
  if (audience->is_string()) return audience->get_string() == client;
  if (!audience->is_array()) return false;
  const json::array& all = audience->get_array();
  const bool named = std::any_of(all.begin(), all.end(),
                                 [&](const json::value& one) { return one.is_string() && one.get_string() == client; });
  // For several: then it must say that it was made for us.
  return named && (all.size() == 1 || text_of(claims, "azp") == client);
}

std::optional<IdTokenFault> judge(const json::object& claims, const IdTokenExpectation& expected, std::int64_t now_s) {
  if (text_of(claims, "iss") != expected.issuer) return IdTokenFault::issuer;
  if (!is_for(claims, expected.client_id)) return IdTokenFault::audience;
  if (claims.contains("azp") && text_of(claims, "azp") != expected.client_id) return IdTokenFault::audience;
  if (text_of(claims, "sub").empty()) return IdTokenFault::malformed;
  const std::optional<std::int64_t> expires = seconds_of(claims, "exp");
  if (!expires || *expires <= now_s - expected.clock_skew_s) return IdTokenFault::expired;
  const std::optional<std::int64_t> issued = seconds_of(claims, "iat");
  if (!issued || *issued > now_s + expected.clock_skew_s) return IdTokenFault::not_yet_valid;
  if (const auto from = seconds_of(claims, "nbf"); from && *from > now_s + expected.clock_skew_s) {
    return IdTokenFault::not_yet_valid;
  }
  const std::string_view nonce = text_of(claims, "nonce");
  if (nonce.empty() || !equal_in_constant_time(nonce, expected.nonce)) return IdTokenFault::nonce;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(IdTokenFault fault) {
  switch (fault) {
    case IdTokenFault::malformed:
      return "malformed";
    case IdTokenFault::algorithm:
      return "algorithm";
    case IdTokenFault::unknown_key:
      return "unknown_key";
    case IdTokenFault::signature:
      return "signature";
    case IdTokenFault::issuer:
      return "issuer";
    case IdTokenFault::audience:
      return "audience";
    case IdTokenFault::expired:
      return "expired";
    case IdTokenFault::not_yet_valid:
      return "not_yet_valid";
    case IdTokenFault::nonce:
      return "nonce";
  }
  return "malformed";
}

tl::expected<json::object, IdTokenFault> check_id_token(std::string_view token, std::string_view jwks,
                                                        const IdTokenExpectation& expected, std::int64_t now_s) {
  if (token.empty() || token.size() > token_bytes_max) return tl::unexpected(IdTokenFault::malformed);
  cjose_err fault{};
  const Jws jws(cjose_jws_import(token.data(), token.size(), &fault));
  if (!jws) return tl::unexpected(IdTokenFault::malformed);
  cjose_header_t* const header = cjose_jws_get_protected(jws.get());
  const char* const algorithm = cjose_header_get(header, CJOSE_HDR_ALG, &fault);
  if (algorithm == nullptr) return tl::unexpected(IdTokenFault::malformed);
  const std::optional<cjose_jwk_kty_t> type = key_type(algorithm);
  if (!type) return tl::unexpected(IdTokenFault::algorithm);
  // What must be understood and is not, is refused (RFC 7515 section 4.1.11).
  if (char* const critical = cjose_header_get_raw(header, "crit", &fault); critical != nullptr) {
    cjose_get_dealloc()(critical);
    return tl::unexpected(IdTokenFault::malformed);
  }
  const char* const kid = cjose_header_get(header, CJOSE_HDR_KID, &fault);
  const std::vector<Jwk> keys = fitting_keys(jwks, *type, algorithm, kid != nullptr ? kid : "");
  if (keys.empty()) return tl::unexpected(IdTokenFault::unknown_key);
  const bool verified =
      std::any_of(keys.begin(), keys.end(), [&](const Jwk& key) { return cjose_jws_verify(jws.get(), key.get(), &fault); });
  if (!verified) return tl::unexpected(IdTokenFault::signature);

  std::uint8_t* text = nullptr;
  std::size_t bytes = 0;
  if (!cjose_jws_get_plaintext(jws.get(), &text, &bytes, &fault)) return tl::unexpected(IdTokenFault::malformed);
  json::error_code error;
  const json::value claims = json::parse({reinterpret_cast<const char*>(text), bytes}, error);
  if (error || !claims.is_object()) return tl::unexpected(IdTokenFault::malformed);
  if (const std::optional<IdTokenFault> wrong = judge(claims.get_object(), expected, now_s)) return tl::unexpected(*wrong);
  return claims.get_object();
}

}  // namespace watchword::api
