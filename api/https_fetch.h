// One question to another server over HTTPS, with a bound on time and size. For worker threads: it blocks.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace watchword::api {

struct HttpsQuestion {
  std::string url;   // https:// only
  std::string form;  // a POST of application/x-www-form-urlencoded; empty: GET
  std::vector<std::pair<std::string, std::string>> headers;
  std::string ca_file;  // empty: the system's certificate authorities
  std::chrono::seconds timeout{5};
};
struct HttpsAnswer {
  unsigned status = 0;
  std::string body;
};

struct HttpsFault {
  std::string what;  // for the log
  bool timed_out = false;
};

// The certificate must be good and for the URL's host; redirects are not followed.
tl::expected<HttpsAnswer, HttpsFault> fetch(const HttpsQuestion& question);

}  // namespace watchword::api
