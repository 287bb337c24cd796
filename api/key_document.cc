// A key is the document "api-key/<id>", one JSON object:
//   {"format": 2, "name": string, "scopes": [scope name, ...], "created_at_s": integer,
//    "secrets": [{"sha256": 64 lower-case hexadecimal digits, "until_s"?: integer}, ...],
//    "expires_at_s"?: integer, "address_ranges"?: [network, ...], "requests_per_second"?: integer, "rotated_at_s"?: integer}
// where sha256 is over a whole key as presented, and the first secret is the current one. Without "format" it is of the
// first:
//   {"name", "scopes", "created_at_s", "sha256"}
// When it was last used stands apart, since that is written by itself: the document "api-key-used/<id>", {"at_s": integer}.
#include "api/key_document.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::size_t id_characters = 16;
constexpr std::int64_t format = 2;

std::string digest_text(const KeyDigest& digest) {
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

KeyDigest parse_digest(const json::value& value) {
  KeyDigest digest;
  const json::string& hex = value.as_string();
  if (hex.size() != 2 * digest.size()) throw std::runtime_error("bad digest");
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const char* const digits = hex.data() + 2 * i;
    if (std::from_chars(digits, digits + 2, digest[i], 16).ptr != digits + 2) throw std::runtime_error("bad digest");
  }
  return digest;
}

std::int64_t integer_or(const json::object& object, std::string_view name, std::int64_t absent) {
  const json::value* const value = object.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr ? value->to_number<std::int64_t>() : absent;
}

std::vector<KeySecret> read_secrets(const json::object& document) {
  const std::int64_t written = integer_or(document, "format", 1);
  if (written == 1) return {{.digest = parse_digest(document.at("sha256"))}};
  if (written != format) throw std::runtime_error("it is of a newer format, " + std::to_string(written));
  std::vector<KeySecret> secrets;
  for (const json::value& one : document.at("secrets").as_array()) {
    secrets.push_back(
        {.digest = parse_digest(one.at("sha256")), .until_s = integer_or(one.as_object(), "until_s", KeySecret::always)});
  }
  if (secrets.empty()) throw std::runtime_error("it has no secret");
  return secrets;
}

}  // namespace

std::string key_id_text(std::uint64_t id) {
  return fmt::format("{:016x}", id);
}

std::optional<std::uint64_t> parse_key_id(std::string_view text) {
  const auto lower_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() != id_characters || !std::all_of(text.begin(), text.end(), lower_hex)) return std::nullopt;
  std::uint64_t id = 0;
  std::from_chars(text.data(), text.data() + text.size(), id, 16);
  return id;
}

std::string write_key_document(const KeyRecord& record) {
  const AccessKeyView& view = record.view;
  json::array scopes, secrets, ranges;
  for (const std::string& scope : scope_names(view.scopes)) scopes.emplace_back(scope);
  for (const std::string& range : view.address_ranges) ranges.emplace_back(range);
  for (const KeySecret& secret : record.secrets) {
    json::object one{{"sha256", digest_text(secret.digest)}};
    if (secret.until_s != KeySecret::always) one["until_s"] = secret.until_s;
    secrets.push_back(std::move(one));
  }
  json::object document{{"format", format},
                        {"name", view.name},
                        {"scopes", std::move(scopes)},
                        {"created_at_s", view.created_at_s},
                        {"secrets", std::move(secrets)}};
  if (view.expires_at_s != 0) document["expires_at_s"] = view.expires_at_s;
  if (!ranges.empty()) document["address_ranges"] = std::move(ranges);
  if (view.requests_per_second != 0) document["requests_per_second"] = view.requests_per_second;
  if (view.rotated_at_s != 0) document["rotated_at_s"] = view.rotated_at_s;
  return json::serialize(document);
}

KeyRecord read_key_document(std::string_view id, std::string_view text) {
  KeyRecord record;
  const std::optional<std::uint64_t> number = parse_key_id(id);
  if (!number) throw std::runtime_error("bad id");
  record.id = *number;
  const json::value parsed = json::parse({text.data(), text.size()});
  const json::object& document = parsed.as_object();
  record.secrets = read_secrets(document);
  AccessKeyView& view = record.view;
  view.id = id;
  view.name = document.at("name").as_string();
  view.created_at_s = document.at("created_at_s").to_number<std::int64_t>();
  for (const json::value& name : document.at("scopes").as_array()) {
    const std::optional<Scope> scope = parse_scope(name.as_string());
    if (!scope) throw std::runtime_error("unknown scope");
    view.scopes = static_cast<Scopes>(view.scopes | static_cast<Scopes>(*scope));
  }
  view.expires_at_s = integer_or(document, "expires_at_s", 0);
  view.rotated_at_s = integer_or(document, "rotated_at_s", 0);
  view.requests_per_second = static_cast<std::uint32_t>(integer_or(document, "requests_per_second", 0));
  if (const json::value* const ranges = document.if_contains("address_ranges")) {
    for (const json::value& range : ranges->as_array()) view.address_ranges.emplace_back(range.as_string());
  }
  return record;
}

std::string write_key_use_document(std::int64_t last_used_at_s) {
  return json::serialize(json::object{{"at_s", last_used_at_s}});
}

std::int64_t read_key_use_document(std::string_view text) {
  return json::parse({text.data(), text.size()}).at("at_s").to_number<std::int64_t>();
}

}  // namespace watchword::api
