// The otpauth:// key URI that authenticator apps read from a QR code (Google's "Key Uri Format").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::engine {

struct OtpauthKey {
  std::string issuer;   // without colon; may be empty when parsed
  std::string account;  // without colon
  SecretBytes secret;
  OtpParameters parameters;
};

// otpauth://totp/Issuer:account?secret=...&issuer=...[&algorithm=..][&digits=..][&period=..]; parameters at their defaults
// (SHA1, 6, 30) are left out. Percent-encoding throughout: a space is %20, never '+'. A colon in account or issuer, which
// the format forbids, becomes U+A789 (a letter that looks like one).
std::string make_otpauth_uri(const OtpauthKey& key);

// Reads what other systems wrote: literal or encoded colon, spaces after it, any order of parameters, type totp only.
// nullopt: not a URI that this server can register (wrong type, unknown algorithm, issuer in label and parameter that
// differ, bad secret...).
std::optional<OtpauthKey> parse_otpauth_uri(std::string_view uri);

}  // namespace watchword::engine
