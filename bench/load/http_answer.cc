#include "bench/load/http_answer.h"

#include <charconv>
#include <cstring>

namespace watchword::load {
namespace {

constexpr std::size_t head_bytes_max = 65536;
constexpr std::size_t body_bytes_max = 64u << 20;

bool same_name(std::string_view line, std::string_view lower_name) {
  if (line.size() < lower_name.size()) return false;
  for (std::size_t i = 0; i < lower_name.size(); ++i) {
    if ((line[i] | 0x20) != lower_name[i]) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
bool whole_number(std::string_view text, Number& value) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  return fault == std::errc() && end == text.data() + text.size() && !text.empty();
}

// `digits`: of Content-Length, in `in`; none where there is none.
Parse parse_answer(std::string_view in, HttpAnswer& answer, std::string_view& digits) {
  std::size_t begin = 0;
  while (true) {
    const std::string_view rest = in.substr(begin);
    const void* const end = memmem(rest.data(), rest.size(), "\r\n\r\n", 4);
    if (!end) return rest.size() > head_bytes_max ? Parse::malformed : Parse::incomplete;
    const auto head_bytes = static_cast<std::size_t>(static_cast<const char*>(end) - rest.data());
    std::string_view head = rest.substr(0, head_bytes);
    if (head.size() < 12 || !head.starts_with("HTTP/1.")) return Parse::malformed;
    if (!whole_number(head.substr(9, 3), answer.status) || answer.status < 100) return Parse::malformed;
    if (answer.status < 200) {
      begin += head_bytes + 4;
      continue;
    }
    answer.close = head[7] == '0';
    bool has_length = answer.status == 204 || answer.status == 304;
    std::size_t length = 0;
    std::size_t line_end = head.find("\r\n");
    while (line_end != std::string_view::npos) {
      head.remove_prefix(line_end + 2);
      line_end = head.find("\r\n");
      const std::string_view line = head.substr(0, line_end);
      if (line.empty()) continue;
      const char first = static_cast<char>(line[0] | 0x20);
      if (first == 'c' && same_name(line, "content-length:")) {
        digits = trimmed(line.substr(15));
        if (!whole_number(digits, length) || length > body_bytes_max) return Parse::malformed;
        has_length = true;
      } else if (first == 'c' && same_name(line, "connection:")) {
        answer.close = same_name(trimmed(line.substr(11)), "close");
      } else if (first == 't' && same_name(line, "transfer-encoding:")) {
        return Parse::malformed;
      }
    }
    if (!has_length) return Parse::malformed;
    if (rest.size() - head_bytes - 4 < length) return Parse::incomplete;
    answer.body = rest.substr(head_bytes + 4, length);
    answer.bytes = begin + head_bytes + 4 + length;
    return Parse::complete;
  }
}

}  // namespace

Parse parse_answer(std::string_view in, HttpAnswer& answer) {
  std::string_view digits;
  return parse_answer(in, answer, digits);
}

Parse AnswerParser::parse(std::string_view in, HttpAnswer& answer) {
  constexpr std::size_t kept_bytes_max = 2048;
  for (const Head& head : heads_) {
    if (head.before.empty() || !in.starts_with(head.before)) continue;
    const std::size_t digits_end = in.find_first_not_of("0123456789", head.before.size());
    if (digits_end == std::string_view::npos || !in.substr(digits_end).starts_with(head.after)) continue;
    std::size_t length = 0;
    if (!whole_number(in.substr(head.before.size(), digits_end - head.before.size()), length) || length > body_bytes_max)
      break;
    const std::size_t head_bytes = digits_end + head.after.size();
    if (in.size() - head_bytes < length) return Parse::incomplete;
    answer = {
        .status = head.status, .body = in.substr(head_bytes, length), .bytes = head_bytes + length, .close = head.close};
    return Parse::complete;
  }
  std::string_view digits;
  const Parse parsed = parse_answer(in, answer, digits);
  const std::size_t head_bytes = answer.bytes - answer.body.size();
  if (parsed == Parse::complete && !digits.empty() && head_bytes <= kept_bytes_max) {
    const auto digits_at = static_cast<std::size_t>(digits.data() - in.data());
    heads_[oldest_] = {.before = std::string(in.substr(0, digits_at)),
                       .after = std::string(in.substr(digits_at + digits.size(), head_bytes - digits_at - digits.size())),
                       .status = answer.status,
                       .close = answer.close};
    oldest_ = (oldest_ + 1) % heads_.size();
  }
  return parsed;
}

std::string_view text_field(std::string_view json, std::string_view quoted_name, std::size_t& at) {
  const std::size_t name = json.find(quoted_name, at);
  if (name == std::string_view::npos) return {};
  std::size_t from = name + quoted_name.size();
  while (from < json.size() && (json[from] == ' ' || json[from] == ':')) ++from;
  if (from >= json.size() || json[from] != '"') return {};
  const std::size_t end = json.find('"', ++from);
  if (end == std::string_view::npos) return {};
  at = end + 1;
  return json.substr(from, end - from);
}

}  // namespace watchword::load
