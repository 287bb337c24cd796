#include "app/csv.h"

#include <limits>

namespace watchword::app {
namespace {

constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

std::optional<std::vector<std::string>> split_csv(std::string_view line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  bool closed = false;  // the field ended with its quote: a comma or the end must follow
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += c;
        ++i;
      } else {
        quoted = false;
        closed = true;
      }
    } else if (c == ',') {
      fields.emplace_back();
      closed = false;
    } else if (closed) {
      return std::nullopt;
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return std::nullopt;
  return fields;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::optional<LineReader::Line> LineReader::next() {
  in_.getline(line_.data(), static_cast<std::streamsize>(line_.size()));
  auto taken = static_cast<std::size_t>(in_.gcount());
  bytes_ += taken;
  if (in_.eof() && taken == 0) return std::nullopt;
  if (in_.bad()) return std::nullopt;
  bool cut = false;
  if (in_.fail()) {  // the line goes on
    cut = true;
    in_.clear();
    in_.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    bytes_ += static_cast<std::uint64_t>(in_.gcount());
  } else if (!in_.eof()) {
    --taken;  // getline counts the end that it dropped
  }
  std::string_view text(line_.data(), taken);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (++number_ == 1 && text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  return Line{number_, text, cut};
}

}  // namespace watchword::app
