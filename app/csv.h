// CSV as RFC 4180 and spreadsheets write it. No field that Watchword takes may hold a line end, so a row is a line: a quote
// that is not closed spoils its own line and no other.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchword::app {

// The fields of one line, quotes undone; nullopt: quotes that do not match.
std::optional<std::vector<std::string>> split_csv(std::string_view line);

// In quotes where it must be.
std::string csv_field(std::string_view text);

// Lines without their ends (LF or CR LF), counted from 1, of bounded length; a byte order mark at the start is dropped.
class LineReader {
 public:
  static constexpr std::size_t line_bytes_max = 8192;

  explicit LineReader(std::istream& in) : in_(in), line_(line_bytes_max + 2) {}

  struct Line {
    std::uint64_t number;
    std::string_view text;  // until the next call
    bool cut;               // the line was longer than line_bytes_max
  };
  std::optional<Line> next();
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::istream& in_;
  std::vector<char> line_;
  std::uint64_t number_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace watchword::app
