// If-Match (RFC 9110 section 13.1.1): a change only to what the client has seen.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchword::api {

// The opaque texts of the strong tags in an If-Match header, without their quotes; nullopt: there is no header, or "*", so
// whatever is there will do. W/"..." and malformed tags match nothing and are left out.
std::optional<std::vector<std::string>> wanted_tags(std::string_view if_match);

// The tag as an ETag header has it.
inline std::string etag(std::string_view tag) {
  return "\"" + std::string(tag) + "\"";
}

}  // namespace watchword::api
