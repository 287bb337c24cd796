// As much of HTTP/1.1 (RFC 9112) as answers of an API need: a status, a length, a body.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace watchword::load {

struct HttpAnswer {
  int status = 0;
  std::string_view body;
  std::size_t bytes = 0;  // of `in` that it took
  bool close = false;     // nothing comes after it on this connection
};

enum class Parse : std::uint8_t { complete, incomplete, malformed };

// Takes one answer from the front of `in`. Interim answers (100) are skipped. An answer without Content-Length, or one in
// chunks, is malformed: where it ends could not be told without reading on. `answer.body` points into `in`.
Parse parse_answer(std::string_view in, HttpAnswer& answer);

// As parse_answer(), for one thread's answers: a head like one of the last few, but for its length, is compared, not parsed.
class AnswerParser {
 public:
  Parse parse(std::string_view in, HttpAnswer& answer);

 private:
  struct Head {
    std::string before, after;  // the digits of Content-Length; empty: none yet
    int status = 0;
    bool close = false;
  };
  std::array<Head, 4> heads_;
  std::size_t oldest_ = 0;
};

// The text behind `"name":"` up to the next quote; values with escapes are not looked for. `at` is where to begin, and is
// moved behind it.
std::string_view text_field(std::string_view json, std::string_view quoted_name, std::size_t& at);

}  // namespace watchword::load
