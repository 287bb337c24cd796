// One POST to a server outside: HTTP/1.1 over TCP or TLS 1.2 and 1.3 with the server's certificate and name verified, one
// connection a request, everything but the look-up of the name within a deadline. Redirects are not followed: nobody but the
// configuration says where to. For a background thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace watchword::api {

struct HttpTarget {
  bool tls = false;
  std::string host;  // a name or an address, without brackets
  std::string port;
  std::string path;       // with its query, "/" at least
  std::string authority;  // for the Host header
  // "http://..." or "https://...", without user, password or fragment; nullopt otherwise.
  static std::optional<HttpTarget> parse(std::string_view url);
};

class HttpPoster {
 public:
  // `ca_file`: certificates to trust for https instead of the system's; empty: the system's. Throws std::runtime_error.
  HttpPoster(HttpTarget target, const std::string& ca_file);
  ~HttpPoster();
  HttpPoster(const HttpPoster&) = delete;
  HttpPoster& operator=(const HttpPoster&) = delete;

  // The answer's status, or what went wrong on the way to it. One call at a time.
  tl::expected<unsigned, std::string> post(const std::vector<std::pair<std::string, std::string>>& headers,
                                           std::string_view body, std::int64_t deadline_ms) const;
  // Any thread: a call under way, and every later one, ends at once without an answer.
  void cancel() noexcept;

 private:
  struct Trust;
  const HttpTarget target_;
  std::unique_ptr<Trust> trust_;  // null: in the clear
  const int cancelled_;           // eventfd
};

}  // namespace watchword::api
