#include "api/response_writer.h"

#include <iterator>

#include <fmt/format.h>

#include "api/json_text.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

// On every answer but a verification's verdict and its 503 under overload: whatever a browser is brought to open does
// nothing that our own pages do not do.
constexpr std::string_view security_headers =
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()\r\n";

void write_connection(std::string& out, AnswerForm form) {
  if (form.close) {
    out += "Connection: close\r\n";
  } else if (form.http10) {
    out += "Connection: keep-alive\r\n";
  }
}

void write_length_and_body(std::string& out, std::string_view body, AnswerForm form) {
  out += "Content-Length: ";
  append_number(out, body.size());
  out += "\r\n\r\n";
  if (!form.head_only) out += body;
}

}  // namespace

void write_json(std::string& out, std::string_view body, AnswerForm form) {
  out += "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n";
  write_connection(out, form);
  write_length_and_body(out, body, form);
}

void write_overloaded(std::string& out, AnswerForm form) {
  std::string body;
  append_problem_body(body, 503, "overloaded", overloaded_detail, "");
  out +=
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nCache-Control: "
      "no-store\r\nRetry-After: 1\r\n";
  write_connection(out, form);
  write_length_and_body(out, body, form);
}

void write_response(std::string& out, const Response& response, AnswerForm form) {
  out += "HTTP/1.1 ";
  append_number(out, response.status);
  out += ' ';
  out += status_title(response.status);
  out += "\r\n";
  out += security_headers;
  if (response.no_store) out += "Cache-Control: no-store\r\n";
  for (const auto& [name, value] : response.headers) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  write_connection(out, form);
  const bool bodiless = response.status == 204 || response.status == 304;  // RFC 9110 section 8.6
  if (bodiless) {
    out += "\r\n";
    return;
  }
  out += "Content-Type: ";
  out += response.content_type;
  out += "\r\n";
  if (response.more != nullptr) {
    // To HTTP/1.0 the connection's end is the body's end.
    out += form.http10 ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
    return;
  }
  write_length_and_body(out, response.body, form);
}

void write_chunk(std::string& out, std::string_view piece, AnswerForm form) {
  if (piece.empty()) return;
  if (form.http10) {
    out += piece;
    return;
  }
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", piece.size());
  out += piece;
  out += "\r\n";
}

void write_last_chunk(std::string& out, AnswerForm form) {
  if (!form.http10) out += "0\r\n\r\n";
}

}  // namespace watchword::api
