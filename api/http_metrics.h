// Requests by route and status. Routes are templates ("/v1/users/{user}"), never what somebody sent.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "metrics/counters.h"
#include "metrics/exposition.h"

namespace watchword::api {

// One route's requests. Written by one thread at a time, read by any.
class RouteMetrics {
 public:
  static constexpr const char* duration_name = "watchword_http_request_duration_seconds";
  static constexpr const char* duration_help =
      "From the moment a request is whole until its answer is handed to the kernel, by route template.";

  void count(unsigned status, std::chrono::nanoseconds duration, std::uint64_t requests = 1) noexcept;
  // Where the duration is observed elsewhere.
  void count(unsigned status, std::uint64_t requests = 1) noexcept;
  void collect(const std::string& route, metrics::Collected& into) const;

 private:
  static constexpr std::array<unsigned, 36> statuses = {200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400,
                                                        401, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414,
                                                        415, 417, 422, 423, 428, 429, 431, 500, 501, 503, 504, 505};
  std::array<metrics::Counter, statuses.size() + 1> counts_;  // the last: any other
  metrics::DurationHistogram duration_;
};

// The routes that event loops pass to workers, from all loops: one short lock a request. Verification has its own, a loop.
class HttpMetrics {
 public:
  // `route` stays for good: a constant of the program. Empty: no route of ours.
  void count(std::string_view route, unsigned status, std::chrono::nanoseconds duration);
  void collect(metrics::Collected& into) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string_view, RouteMetrics> routes_;  // under mutex_; what was added stays where it is
};

}  // namespace watchword::api
