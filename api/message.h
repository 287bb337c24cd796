// What passes between the HTTP sessions and the handlers that run on worker threads. Plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/access_keys.h"
#include "api/body_source.h"
#include "engine/audit.h"

namespace watchword::api {

enum class Method : std::uint8_t { get, head, post, put, patch, del, other };
// As the request line spells it; "other" for what is none of these.
std::string_view to_string(Method method);

// Beside what every request has, what the pages' own requests are judged by. Empty for the others.
struct BrowserSide {
  std::string head;  // the header block as it was sent
  std::string peer;  // IP address of the socket's other end
  // The configured name of the client certificate that the socket's other end showed; empty: none, or nobody's.
  std::string certificate;
  bool tls = false;
};

struct Request {
  Method method = Method::get;
  std::string target;        // as sent: path and query, percent-encoded
  std::string content_type;  // empty if none
  std::string if_match;      // empty if none
  std::string body;
  AccessKeys::Granted caller{};
  engine::Origin origin;  // for the audit trail: key:<id>, the client's address, its trace id
  BrowserSide browser;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones: Allow, ETag, Retry-After, Location...
  bool no_store = true;                                      // Cache-Control: no-store
  std::string_view route;                                    // the template that answers, a constant; empty: none does
  std::shared_ptr<BodySource> more;                          // the body, instead of `body`, where it has no known length
};

}  // namespace watchword::api
