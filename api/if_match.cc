#include "api/if_match.h"

#include <algorithm>

namespace watchword::api {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

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
