#include "api/header_text.h"

#include <algorithm>

#include <boost/algorithm/string/predicate.hpp>

namespace watchword::api {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_json(std::string_view content_type) {
  const std::size_t end = std::min(content_type.find_first_of("; \t"), content_type.size());
  return content_type.empty() || boost::algorithm::iequals(content_type.substr(0, end), "application/json");
}

}  // namespace watchword::api
