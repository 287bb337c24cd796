#include "api/http_metrics.h"

#include <gtest/gtest.h>

#include "api/portal_routes.h"

namespace watchword::api {
namespace {

using namespace std::chrono_literals;

std::string scraped(const HttpMetrics& http) {
  metrics::Exposition exposition;
  exposition.add_collector([&](metrics::Collected& into) { http.collect(into); });
  return exposition.scrape();
}

TEST(HttpMetrics, CountsByTemplateAndStatus) {
  HttpMetrics http;
  http.count("/v1/users/{user}", 200, 1ms);
  http.count("/v1/users/{user}", 200, 20ms);
  http.count("/v1/users/{user}", 404, 1ms);
  http.count({}, 404, 1ms);
  const std::string text = scraped(http);
  const auto holds = [&](const std::string& line) { return text.find(line + "\n") != std::string::npos; };
  EXPECT_TRUE(holds(R"(watchword_http_requests_total{route="/v1/users/{user}",status="200"} 2)")) << text;
  EXPECT_TRUE(holds(R"(watchword_http_requests_total{route="/v1/users/{user}",status="404"} 1)")) << text;
  EXPECT_TRUE(holds(R"(watchword_http_requests_total{route="other",status="404"} 1)")) << text;
  EXPECT_TRUE(holds(R"(watchword_http_request_duration_seconds_bucket{route="/v1/users/{user}",le="0.01"} 2)")) << text;
  EXPECT_TRUE(holds(R"(watchword_http_request_duration_seconds_count{route="/v1/users/{user}"} 3)")) << text;
}

TEST(HttpMetrics, PutsStatusesThatItDoesNotKnowTogether) {
  HttpMetrics http;
  for (unsigned status = 600; status < 900; ++status) http.count("/x", status, 1ms);
  EXPECT_NE(scraped(http).find(R"(watchword_http_requests_total{route="/x",status="other"} 300)"), std::string::npos);
}

TEST(PortalTemplate, NeverHoldsWhatSomebodySent) {
  EXPECT_EQ(portal_template("/portal/api/devices/00ff", {"portal", "api", "devices", "00ff"}),
            "/portal/api/devices/{device}");
  EXPECT_EQ(portal_template("/portal/api/whatever", {"portal", "api", "whatever"}), "/portal/api");
  EXPECT_EQ(portal_template("/console/api/v1/users/ada", {"console", "api", "v1", "users", "ada"}), "/console/api/v1");
  EXPECT_EQ(portal_template("/assets/app-1234.js", {"assets", "app-1234.js"}), "/assets");
  EXPECT_EQ(portal_template("/portal", {}), "/portal");
  EXPECT_EQ(portal_template("/portals", {}), "");
}

}  // namespace
}  // namespace watchword::api
