#include "api/header_text.h"

#include <algorithm>
#include <initializer_list>

namespace watchword::api {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

namespace {

bool is_one_of(std::string_view content_type, std::initializer_list<std::string_view> names) {
  const std::size_t end = std::min(content_type.find_first_of("; \t"), content_type.size());
  const std::string_view said = content_type.substr(0, end);
  return content_type.empty() ||
         std::any_of(names.begin(), names.end(), [&](std::string_view name) { return equal_ignoring_case(said, name); });
}

}  // namespace

bool is_json(std::string_view content_type) {
  return is_one_of(content_type, {"application/json"});
}

bool is_json_lines(std::string_view content_type) {
  return is_one_of(content_type,
                   {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"});
}

}  // namespace watchword::api
