#include "api/admin_route.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace watchword::api {
namespace {

// What a space is written as: "%20" everywhere, and '+' in a query, as forms and most client libraries write it.
enum class Plus { stands_for_itself, stands_for_space };

std::optional<unsigned char> hex_pair(std::string_view text) {
  unsigned char byte = 0;
  if (text.size() < 2) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 2, byte, 16);
  if (error != std::errc() || end != text.data() + 2) return std::nullopt;
  return byte;
}

std::optional<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const std::optional<unsigned char> byte = hex_pair(text.substr(i + 1));
      if (!byte) return std::nullopt;
      decoded.push_back(static_cast<char>(*byte));
      i += 2;
    } else if (text[i] == '+' && plus == Plus::stands_for_space) {
      decoded.push_back(' ');
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

tl::unexpected<RequestFault> fault(std::string detail, std::string field = {}) {
  return tl::unexpected(RequestFault{.field = std::move(field), .detail = std::move(detail)});
}

constexpr std::string_view bad_encoding =
    "The path or query has invalid percent-encoding: write %XX with two hexadecimal digits.";

}  // namespace

tl::expected<Target, RequestFault> parse_target(std::string_view text) {
  // Bytes above ASCII are let through: some clients send UTF-8 as it is, and it means only one thing.
  const auto foreign = [](char c) { return (c >= 0 && c <= ' ') || c == '\x7f' || c == '#'; };
  if (text.empty() || text.front() != '/' || std::any_of(text.begin(), text.end(), foreign)) {
    return fault(
        "The request target must be a path that begins with '/'; encode spaces, '#' and control characters as %XX.");
  }
  const std::size_t question = text.find('?');
  Target target;
  for (const std::string_view part :
       split(text.substr(1, question == std::string_view::npos ? question : question - 1), '/')) {
    std::optional<std::string> segment = percent_decode(part, Plus::stands_for_itself);
    if (!segment) return fault(std::string(bad_encoding));
    target.segments.push_back(std::move(*segment));
  }
  if (question == std::string_view::npos || question + 1 == text.size()) return target;

  for (const std::string_view part : split(text.substr(question + 1), '&')) {
    const std::size_t equals = part.find('=');
    const std::string_view value_part = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    std::optional<std::string> name = percent_decode(part.substr(0, equals), Plus::stands_for_space);
    std::optional<std::string> value = percent_decode(value_part, Plus::stands_for_space);
    if (!name || !value) return fault(std::string(bad_encoding));
    const auto same = [&](const auto& parameter) { return parameter.first == *name; };
    if (std::any_of(target.query.begin(), target.query.end(), same)) {
      return fault("A query parameter is given twice. Give each parameter once.", shown_field(*name));
    }
    target.query.emplace_back(std::move(*name), std::move(*value));
  }
  return target;
}

std::optional<std::vector<std::string>> match_path(std::string_view pattern, const std::vector<std::string>& segments) {
  const std::vector<std::string_view> wanted = split(pattern.substr(1), '/');
  if (wanted.size() != segments.size()) return std::nullopt;
  std::vector<std::string> captured;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].front() != '{') {
      if (wanted[i] != segments[i]) return std::nullopt;
    } else {
      if (segments[i].empty()) return std::nullopt;
      captured.push_back(segments[i]);
    }
  }
  return captured;
}

std::optional<std::string> QueryFields::text(std::string_view name) {
  asked_.emplace_back(name);
  const auto at = std::find_if(query_.begin(), query_.end(), [&](const auto& parameter) { return parameter.first == name; });
  if (at == query_.end()) return std::nullopt;
  return at->second;
}

std::optional<std::uint64_t> QueryFields::number(std::string_view name, std::uint64_t min, std::uint64_t max) {
  const std::optional<std::string> digits = text(name);
  if (!digits) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), value);
  if (error != std::errc() || end != digits->data() + digits->size() || value < min || value > max) {
    refuse(name, fmt::format("\"{}\" must be a whole number from {} to {}.", name, min, max));
  }
  return value;
}

void QueryFields::refuse(std::string_view field, std::string detail) {
  if (!fault_) fault_ = RequestFault{.field = std::string(field), .detail = std::move(detail)};
}

std::optional<RequestFault> QueryFields::finish() {
  for (const auto& [name, value] : query_) {
    if (std::find(asked_.begin(), asked_.end(), name) == asked_.end()) {
      refuse(shown_field(name), "This request has no query parameter of that name.");
    }
  }
  return fault_;
}

std::string percent_encode(std::string_view text) {
  const auto unreserved = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
  };
  std::string encoded;
  for (const char c : text) {
    if (unreserved(c)) {
      encoded.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(encoded), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace watchword::api
