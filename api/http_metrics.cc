#include "api/http_metrics.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace watchword::api {

void RouteMetrics::count(unsigned status, std::chrono::nanoseconds duration, std::uint64_t requests) noexcept {
  count(status, requests);
  duration_.observe(duration, requests);
}

void RouteMetrics::count(unsigned status, std::uint64_t requests) noexcept {
  const auto at = static_cast<std::size_t>(std::find(statuses.begin(), statuses.end(), status) - statuses.begin());
  counts_[at].add(requests);
}

void RouteMetrics::collect(const std::string& route, metrics::Collected& into) const {
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    // A series begins with its first request, but what a route answers when all is well is always there.
    if (i > 0 && counts_[i].value() == 0) continue;
    into.counter("watchword_http_requests_total", "HTTP requests answered, by route template and status.",
                 {{"route", route}, {"status", i < statuses.size() ? std::to_string(statuses[i]) : "other"}},
                 static_cast<double>(counts_[i].value()));
  }
  into.histogram(duration_name, duration_help, {{"route", route}}, duration_);
}

void HttpMetrics::count(std::string_view route, unsigned status, std::chrono::nanoseconds duration) {
  const std::lock_guard lock(mutex_);
  routes_[route.empty() ? "other" : route].count(status, duration);
}

void HttpMetrics::collect(metrics::Collected& into) const {
  std::vector<std::pair<std::string_view, const RouteMetrics*>> routes;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, route] : routes_) routes.emplace_back(name, &route);
  }
  for (const auto& [name, route] : routes) route->collect(std::string(name), into);
}

}  // namespace watchword::api
