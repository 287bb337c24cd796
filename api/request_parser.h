// HTTP/1.1 requests out of bytes (RFC 9112), without copying: views into the input. Beast's grammar, our refusals.
//
// Two readers of one connection that disagree about where a request ends are how requests are smuggled. So whatever leaves
// that open is refused: two lengths, a length beside chunks, any transfer coding but `chunked`, folded lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/message.h"

namespace watchword::api {

inline constexpr std::size_t head_bytes_max = 8 * 1024;
inline constexpr unsigned header_lines_max = 64;

// Views are good as long as the input they were parsed from stays in place.
struct RequestHead {
  std::size_t bytes = 0;   // of the head, blank line included
  std::string_view block;  // the head itself
  Method method = Method::other;
  std::string_view target;  // origin form: an absolute one is cut to its path and query
  bool http10 = false;
  bool keep_alive = false;
  bool chunked = false;
  bool expects_continue = false;
  std::uint64_t content_length = 0;
  std::string_view authorization;
  std::string_view content_type;
  std::string_view if_match;
  std::string_view trace;  // the trace id of a valid traceparent (W3C Trace Context), else a plain X-Request-Id, else empty

  bool has_body() const { return chunked || content_length > 0; }
};

// What is wrong with a head. The connection cannot go on after it: nobody knows where the next request begins.
struct HeadFault {
  unsigned status = 0;  // 0: nothing is wrong, bytes are missing
  std::string_view slug;
  std::string_view detail;
};

// The head that `input` begins with. No allocation.
std::optional<RequestHead> parse_head(std::string_view input, HeadFault& fault) noexcept;
// Bytes of empty lines before a request, which a lenient reader skips (RFC 9112 section 2.2).
std::size_t blank_lines(std::string_view input) noexcept;

// The body of a chunked request, taken apart as it comes. For the few clients that send one.
class ChunkedBody {
 public:
  enum class State : std::uint8_t { incomplete, complete, malformed, too_large };

  // `head` is the whole head that said `chunked`.
  ChunkedBody(std::string_view head, std::size_t body_bytes_max);
  ~ChunkedBody();
  // Takes what it can from `input`; `taken` says how much. Bytes not taken are to be given again with more behind them.
  State feed(std::string_view input, std::size_t& taken);
  const std::string& body() const;
  // What has come since the last call; what is taken does not count against body_bytes_max any more.
  std::string take_body();

 private:
  struct Reader;
  std::unique_ptr<Reader> reader_;
};

}  // namespace watchword::api
