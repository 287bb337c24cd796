#include "api/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

namespace watchword::api {
namespace {

namespace http = boost::beast::http;
using boost::beast::iequals;
using Text = boost::beast::string_view;

std::string_view view(Text text) {
  return {text.data(), text.size()};
}

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::post:
      return Method::post;
    case http::verb::put:
      return Method::put;
    case http::verb::patch:
      return Method::patch;
    case http::verb::delete_:
      return Method::del;
    default:
      return Method::other;
  }
}

// "http://host/path" means the path (RFC 9112 section 3.2.2: a server must take the absolute form).
std::string_view origin_form(std::string_view target) {
  if (!target.starts_with("http://") && !target.starts_with("https://")) return target;
  const std::size_t path = target.find_first_of("/?", target.find("://") + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

constexpr HeadFault bad(std::string_view detail) {
  return {400, "bad_http", detail};
}

constexpr std::size_t request_id_bytes_max = 128;

bool plain_request_id(std::string_view text) {
  return !text.empty() && text.size() <= request_id_bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// W3C Trace Context section 3.2: version "-" trace-id "-" parent-id "-" flags, lower-case hexadecimal. Version ff and an id
// of zeros are invalid; a later version may go on after the flags.
std::string_view trace_id(std::string_view text) {
  constexpr std::size_t bytes = 55;
  const auto hex = [&](std::size_t at, std::size_t count) {
    const std::string_view part = text.substr(at, count);
    return std::all_of(part.begin(), part.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  };
  if (text.size() < bytes || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
  if (!hex(0, 2) || !hex(3, 32) || !hex(36, 16) || !hex(53, 2) || text.starts_with("ff")) return {};
  if (text.size() > bytes && (text.starts_with("00") || text[bytes] != '-')) return {};
  const std::string_view id = text.substr(3, 32), parent = text.substr(36, 16);
  if (id.find_first_not_of('0') == std::string_view::npos || parent.find_first_not_of('0') == std::string_view::npos)
    return {};
  return id;
}

// Keeps views of the few fields that matter and refuses what is ambiguous.
class HeadReader final : public http::basic_parser<true> {
 public:
  HeadReader(RequestHead& head, HeadFault& fault) : head_(head), fault_(fault) {
    body_limit(boost::none);
    header_limit(head_bytes_max);
  }

 private:
  using Error = boost::beast::error_code;

  void refuse(const HeadFault& fault, Error& error) {
    fault_ = fault;
    error = http::error::bad_field;
  }

  void on_request_impl(http::verb verb, Text, Text target, int version, Error&) override {
    head_.method = method_of(verb);
    head_.target = origin_form(view(target));
    head_.http10 = version < 11;
  }
  void on_response_impl(int, Text, int, Error&) override {}

  void on_field_impl(http::field name, Text spelled, Text text, Error& error) override {
    const std::string_view value = view(text);
    if (++lines_ > header_lines_max) return refuse({431, "too_many_headers", "A request may have 64 header lines."}, error);
    switch (name) {
      case http::field::host:
        return once(hosts_++, "The Host header is given twice.", error);
      case http::field::authorization:
        head_.authorization = value;
        return once(authorizations_++, "The Authorization header is given twice.", error);
      case http::field::content_type:
        head_.content_type = value;
        return once(content_types_++, "The Content-Type header is given twice.", error);
      case http::field::content_length:
        if (value.find(',') != std::string_view::npos) return refuse(bad("Content-Length must be one number."), error);
        return once(lengths_++, "The Content-Length header is given twice.", error);
      case http::field::transfer_encoding:
        if (head_.http10) return refuse(bad("HTTP/1.0 has no transfer codings."), error);
        if (!iequals(text, "chunked")) {
          return refuse({501, "unknown_transfer_coding", "The only transfer coding is \"chunked\"."}, error);
        }
        return once(codings_++, "The Transfer-Encoding header is given twice.", error);
      case http::field::if_match:
        head_.if_match = value;
        return once(if_matches_++, "The If-Match header is given twice.", error);
      case http::field::expect:
        if (!iequals(text, "100-continue")) {
          return refuse({417, "expectation_failed", "The only expectation is \"100-continue\"."}, error);
        }
        head_.expects_continue = !head_.http10;
        return;
      default:
        return read_trace(spelled, value);
    }
  }

  // Names of a request, for those who look for it later. A malformed one is nobody's fault but its own: it is left out.
  void read_trace(Text name, std::string_view value) {
    if (iequals(name, "traceparent")) {
      if (const std::string_view id = trace_id(value); !id.empty()) head_.trace = id;
    } else if (iequals(name, "x-request-id") && head_.trace.empty() && plain_request_id(value)) {
      head_.trace = value;
    }
  }

  void once(unsigned seen, std::string_view detail, Error& error) {
    if (seen > 0) refuse(bad(detail), error);
  }

  void on_header_impl(Error& error) override {
    if (lengths_ > 0 && codings_ > 0) return refuse(bad("A request has a Content-Length or is chunked, not both."), error);
    if (hosts_ == 0 && !head_.http10) refuse(bad("The Host header is missing."), error);
  }

  void on_body_init_impl(boost::optional<std::uint64_t> const&, Error&) override {}
  std::size_t on_body_impl(Text body, Error&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, Text, Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Error&) override { return body.size(); }
  void on_finish_impl(Error&) override {}

  RequestHead& head_;
  HeadFault& fault_;
  unsigned lines_ = 0, hosts_ = 0, authorizations_ = 0, content_types_ = 0, lengths_ = 0, codings_ = 0, if_matches_ = 0;
};

HeadFault explain(const boost::beast::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return {431, "header_too_large", "The header block of a request may have 8 KiB."};
  }
  if (error == http::error::bad_version) return bad("This is not HTTP/1.1 or HTTP/1.0.");
  if (error == http::error::bad_method) return bad("The request's method is malformed.");
  if (error == http::error::bad_target) return bad("The request's target is malformed.");
  if (error == http::error::bad_content_length) return bad("The Content-Length header is malformed.");
  if (error == http::error::bad_transfer_encoding) return bad("The Transfer-Encoding header is malformed.");
  return bad("A header line is malformed.");
}

// Whether what has come so far can still become a request: somebody who speaks TLS, or types, is told at once.
bool may_become_request(std::string_view input) {
  if (input.empty()) return true;
  const bool tokenish = input[0] > ' ' && input[0] < 0x7f;
  if (!tokenish) return false;
  const std::size_t end = input.find('\n');
  if (end == std::string_view::npos) return true;
  const std::string_view line = input.substr(0, end);
  return line.ends_with(" HTTP/1.1\r") || line.ends_with(" HTTP/1.0\r");
}

// Beast would unfold it.
bool has_folded_line(std::string_view block) {
  for (std::size_t at = block.find('\n'); at + 1 < block.size(); at = block.find('\n', at + 1)) {
    if (block[at + 1] == ' ' || block[at + 1] == '\t') return true;
  }
  return false;
}

}  // namespace

std::size_t blank_lines(std::string_view input) noexcept {
  std::size_t bytes = 0;
  while (input.substr(bytes).starts_with("\r\n")) bytes += 2;
  return bytes;
}

std::optional<RequestHead> parse_head(std::string_view input, HeadFault& fault) noexcept {
  fault = {};
  const std::size_t end = input.substr(0, head_bytes_max).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (input != "\r" && !may_become_request(input)) {
      fault = bad("This is not HTTP/1.1 or HTTP/1.0.");
    } else if (input.size() >= head_bytes_max) {
      fault = explain(http::error::header_limit);
    }
    return std::nullopt;
  }
  const std::string_view block = input.substr(0, end + 4);
  RequestHead head;
  if (has_folded_line(block)) {
    fault = bad("A header line is folded over two lines.");
    return std::nullopt;
  }
  HeadReader reader(head, fault);
  boost::beast::error_code error;
  reader.put(boost::asio::buffer(block.data(), block.size()), error);
  if (!error && !reader.is_header_done()) error = http::error::bad_field;
  if (error && error != http::error::need_more) {
    if (fault.status == 0) fault = explain(error);
    return std::nullopt;
  }
  if (!reader.is_header_done()) {
    fault = bad("A header line is malformed.");
    return std::nullopt;
  }
  head.bytes = block.size();
  head.block = block;
  head.keep_alive = reader.keep_alive();
  head.chunked = reader.chunked();
  head.content_length = reader.content_length().value_or(0);
  return head;
}

struct ChunkedBody::Reader final : http::basic_parser<true> {
  explicit Reader(std::size_t bytes_max) : body_bytes_max(bytes_max) {
    body_limit(boost::none);
    header_limit(head_bytes_max);
    eager(true);
  }

  using Error = boost::beast::error_code;
  void on_request_impl(http::verb, Text, Text, int, Error&) override {}
  void on_response_impl(int, Text, int, Error&) override {}
  void on_field_impl(http::field, Text, Text, Error&) override {}  // trailers mean nothing here
  void on_header_impl(Error&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Error&) override {}
  std::size_t on_body_impl(Text part, Error&) override { return part.size(); }
  void on_chunk_header_impl(std::uint64_t size, Text, Error& error) override {
    if (size > body_bytes_max - body.size()) error = http::error::body_limit;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, Text part, Error& error) override {
    if (part.size() > body_bytes_max - body.size()) {
      error = http::error::body_limit;
      return 0;
    }
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_finish_impl(Error&) override {}

  const std::size_t body_bytes_max;
  std::string body;
};

ChunkedBody::ChunkedBody(std::string_view head, std::size_t body_bytes_max)
    : reader_(std::make_unique<Reader>(body_bytes_max)) {
  boost::beast::error_code error;
  reader_->put(boost::asio::buffer(head.data(), head.size()), error);  // parse_head() found it good
}

ChunkedBody::~ChunkedBody() = default;

ChunkedBody::State ChunkedBody::feed(std::string_view input, std::size_t& taken) {
  taken = 0;
  while (!reader_->is_done()) {
    if (taken == input.size()) return State::incomplete;
    boost::beast::error_code error;
    const std::size_t bytes = reader_->put(boost::asio::buffer(input.data() + taken, input.size() - taken), error);
    taken += bytes;
    if (error == http::error::body_limit) return State::too_large;
    if (error && error != http::error::need_more) return State::malformed;
    if (error == http::error::need_more || bytes == 0) {
      // A chunk's size line, or the trailers, of which not all is here.
      return input.size() - taken >= head_bytes_max ? State::malformed : State::incomplete;
    }
  }
  return State::complete;
}

std::string ChunkedBody::take_body() {
  return std::exchange(reader_->body, {});
}

const std::string& ChunkedBody::body() const {
  return reader_->body;
}

}  // namespace watchword::api
