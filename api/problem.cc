#include "api/problem.h"

#include "api/json_text.h"

namespace watchword::api {

std::string_view status_title(unsigned status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

void append_problem_body(std::string& out, unsigned status, std::string_view slug, std::string_view detail,
                         std::string_view field) {
  out += R"({"type":)";
  constexpr std::string_view prefix = "urn:watchword:problem:";
  // Slugs are ours: letters, digits and underscores.
  out += '"';
  out += prefix;
  out += slug;
  out += R"(","title":)";
  append_json_string(out, status_title(status));
  out += R"(,"status":)";
  append_number(out, status);
  out += R"(,"detail":)";
  append_json_string(out, detail);
  if (!field.empty()) {
    out += R"(,"field":)";
    append_json_string(out, field);
  }
  out += '}';
}

Response problem(unsigned status, std::string_view slug, std::string_view detail, std::string_view field) {
  Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  append_problem_body(response.body, status, slug, detail, field);
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response too_many_requests(std::int64_t wait_ms) {
  Response response = problem(429, "rate_limited", "This API key is used more often than it may be. Try again later.");
  response.headers.emplace_back("Retry-After", std::to_string((wait_ms + 999) / 1000));
  return response;
}

}  // namespace watchword::api
