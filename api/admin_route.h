// Request targets: path segments and query parameters, decoded once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "api/admin_json.h"

namespace watchword::api {

struct Target {
  // "/v1/users/a%2Fb" is {"v1", "users", "a/b"}: a raw '/' separates, an encoded one does not.
  std::vector<std::string> segments;
  std::vector<std::pair<std::string, std::string>> query;  // each name once
};

// Faults: invalid percent-encoding, a character that a URI does not have, a query parameter twice.
tl::expected<Target, RequestFault> parse_target(std::string_view target);

// Whether the segments are those of a pattern such as "/v1/users/{user}"; a name in braces stands for any one segment that
// is not empty. Returns what stands there, in order.
std::optional<std::vector<std::string>> match_path(std::string_view pattern, const std::vector<std::string>& segments);

// Query parameters, read as bodies are: what nobody asked for is a fault.
class QueryFields {
 public:
  explicit QueryFields(const Target& target) : query_(target.query) {}
  std::optional<std::string> text(std::string_view name);
  // Decimal digits only; the fault names the range.
  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t min, std::uint64_t max);
  void refuse(std::string_view field, std::string detail);
  std::optional<RequestFault> finish();

 private:
  const std::vector<std::pair<std::string, std::string>>& query_;
  std::vector<std::string> asked_;
  std::optional<RequestFault> fault_;
};

// One path segment: everything but RFC 3986's unreserved characters as %XX.
std::string percent_encode(std::string_view text);

}  // namespace watchword::api
