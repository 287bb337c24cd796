#include "api/if_match.h"

#include <algorithm>

#include "api/header_text.h"

namespace watchword::api {
std::optional<std::vector<std::string>> wanted_tags(std::string_view if_match) {
  if (if_match.empty()) return std::nullopt;
  std::vector<std::string> tags;
  while (!if_match.empty()) {
    const std::size_t comma = std::min(if_match.find(','), if_match.size());
    const std::string_view tag = trimmed(if_match.substr(0, comma));
    if (tag == "*") return std::nullopt;
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tags.emplace_back(tag.substr(1, tag.size() - 2));
    if_match.remove_prefix(std::min(comma + 1, if_match.size()));
  }
  return tags;
}

}  // namespace watchword::api
