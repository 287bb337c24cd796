#include "engine/otpauth_uri.h"

#include <charconv>

#include "engine/base32.h"

namespace watchword::engine {
namespace {

constexpr std::string_view scheme = "otpauth://";
constexpr std::string_view colon_look_alike = "\xea\x9e\x89";  // U+A789

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (unreserved(c)) {
      out += c;
      continue;
    }
    constexpr std::string_view hex = "0123456789ABCDEF";
    const auto byte = static_cast<std::uint8_t>(c);
    out += '%';
    out += hex[byte >> 4];
    out += hex[byte & 15];
  }
  return out;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string without_colons(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':') {
      out += colon_look_alike;
    } else {
      out += c;
    }
  }
  return out;
}

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return fault == std::errc{} && end == text.data() + text.size();
}

struct Parameters {
  bool secret_seen = false;
  std::optional<std::string> issuer;
};

bool read_parameter(std::string_view name, std::string_view raw, OtpauthKey& key, Parameters& seen) {
  const std::optional<std::string> value = percent_decode(raw);
  if (!value) return false;
  if (name == "secret") {
    std::optional<std::vector<std::uint8_t>> bytes = base32_decode(*value);
    if (!bytes || bytes->empty() || seen.secret_seen) return false;
    key.secret = SecretBytes(std::move(*bytes));
    seen.secret_seen = true;
  } else if (name == "issuer") {
    if (seen.issuer) return false;
    seen.issuer = *value;
  } else if (name == "algorithm") {
    const std::optional<Algorithm> algorithm = parse_algorithm(*value);
    if (!algorithm) return false;
    key.parameters.algorithm = *algorithm;
  } else if (name == "digits") {
    return read_number(*value, key.parameters.digits);
  } else if (name == "period") {
    return read_number(*value, key.parameters.period_s);
  }
  return true;  // image and the like mean nothing here
}

bool read_label(std::string_view raw, OtpauthKey& key) {
  const std::optional<std::string> label = percent_decode(raw);
  if (!label) return false;
  const std::size_t colon = label->find(':');
  if (colon == std::string::npos) {
    key.account = *label;
    return !key.account.empty();
  }
  key.issuer = label->substr(0, colon);
  std::size_t at = colon + 1;
  while (at < label->size() && (*label)[at] == ' ') ++at;
  key.account = label->substr(at);
  return !key.account.empty() && key.account.find(':') == std::string::npos;
}

}  // namespace

std::string make_otpauth_uri(const OtpauthKey& key) {
  const std::string issuer = percent_encode(without_colons(key.issuer));
  std::string uri = std::string(scheme) + "totp/" + issuer + ":" + percent_encode(without_colons(key.account)) +
                    "?secret=" + base32_encode(key.secret.bytes()) + "&issuer=" + issuer;
  const OtpParameters defaults;
  if (key.parameters.algorithm != defaults.algorithm) {
    uri += "&algorithm=";
    uri += to_string(key.parameters.algorithm);
  }
  if (key.parameters.digits != defaults.digits) uri += "&digits=" + std::to_string(key.parameters.digits);
  if (key.parameters.period_s != defaults.period_s) uri += "&period=" + std::to_string(key.parameters.period_s);
  return uri;
}

std::optional<OtpauthKey> parse_otpauth_uri(std::string_view uri) {
  constexpr std::string_view begin = "otpauth://totp/";
  if (!uri.starts_with(begin)) return std::nullopt;
  uri.remove_prefix(begin.size());
  const std::size_t question = uri.find('?');
  if (question == std::string_view::npos) return std::nullopt;
  OtpauthKey key;
  if (!read_label(uri.substr(0, question), key)) return std::nullopt;
  Parameters seen;
  for (std::string_view rest = uri.substr(question + 1); !rest.empty();) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    if (!read_parameter(pair.substr(0, equals), pair.substr(equals + 1), key, seen)) return std::nullopt;
  }
  if (!seen.secret_seen || !valid(key.parameters)) return std::nullopt;
  if (seen.issuer) {
    if (!key.issuer.empty() && key.issuer != *seen.issuer) return std::nullopt;
    key.issuer = *seen.issuer;
  }
  return key;
}

}  // namespace watchword::engine
