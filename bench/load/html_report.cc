#include "bench/load/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/load/plot.h"
#include "bench/load/result.h"

namespace watchword::load {
namespace {

namespace json = boost::json;

constexpr std::string_view style = R"(
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.grid { stroke: currentColor; stroke-opacity: .15; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid rgb(128 128 128 / 30%); }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.verdict { font-weight: 700; } .passed { color: #2e8b57; } .failed { color: #d1495b; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; } .figures div { min-width: 7.5rem; }
.figures b { display: block; font-size: 1.5rem; }
)";

double number(const json::value& object, std::string_view name) {
  return object.at(name).to_number<double>();
}

std::string text(const json::value& value) {
  if (value.is_double()) return fmt::format("{:g}", value.as_double());
  return html_text(value.is_string() ? std::string_view(value.as_string()) : std::string_view(json::serialize(value)));
}

std::string figure(const std::string& value, std::string_view what) {
  return fmt::format("<div><b>{}</b>{}</div>\n", html_text(value), what);
}

std::string latency_row(std::string_view name, const json::value& of) {
  std::string out = fmt::format("<tr><td>{}</td>", name);
  for (const std::string_view share : {"mean", "p50", "p90", "p99", "p99_9", "p99_99", "max"}) {
    out += fmt::format("<td>{}</td>", html_text(duration_text(number(of, share))));
  }
  return out + "</tr>\n";
}

// A power of ten at either end, so that curves of different runs are easy to compare.
void span_logarithmic(Plot& plot) {
  double least = 1e18, most = 0;
  for (const Curve& curve : plot.curves) {
    for (const auto& [x, y] : curve.points) {
      if (y <= 0) continue;
      least = std::min(least, y);
      most = std::max(most, y);
    }
  }
  if (most == 0) least = 1, most = 10;
  plot.y_logarithmic = true;
  plot.y_least = std::pow(10, std::floor(std::log10(least)));
  plot.y_most = std::pow(10, std::ceil(std::log10(most * 1.0001)));
  plot.y_ticks = logarithmic_ticks(plot.y_least, plot.y_most, duration_text);
}

Curve over_time(const json::array& series, std::string_view field, std::string name) {
  Curve curve{.name = std::move(name)};
  for (const json::value& point : series) curve.points.emplace_back(number(point, "at_s"), number(point, field));
  return curve;
}

void span_time(Plot& plot, const json::array& series) {
  plot.x_title = "seconds";
  plot.x_most = series.empty() ? 1 : std::max(1.0, number(series.back(), "at_s"));
  plot.x_ticks = linear_ticks(0, plot.x_most, [](double at) { return fmt::format("{:g}", at); });
}

std::string latency_plot(const json::array& series) {
  Plot plot{.title = "Response time over time", .y_title = "response time"};
  for (const auto& [field, name] :
       {std::pair{"p50", "p50"}, std::pair{"p99", "p99"}, std::pair{"p99_9", "p99.9"}, std::pair{"max", "max"}}) {
    plot.curves.push_back(over_time(series, field, name));
  }
  span_time(plot, series);
  span_logarithmic(plot);
  return svg_of(plot);
}

std::string throughput_plot(const json::array& series) {
  Plot plot{.title = "Requests a second over time", .y_title = "a second"};
  plot.curves = {over_time(series, "rate", "answers"), over_time(series, "errors", "errors")};
  span_time(plot, series);
  double most = 1;
  for (const Curve& curve : plot.curves) {
    for (const auto& [x, y] : curve.points) most = std::max(most, y);
  }
  plot.y_most = most * 1.08;
  plot.y_ticks = linear_ticks(0, plot.y_most, count_text);
  return svg_of(plot);
}

// Each tenth of what is left has the same width: tails are as wide as the rest.
std::string spectrum_plot(const json::object& result) {
  Plot plot{.title = "All percentiles", .x_title = "share of requests that took no longer", .y_title = "time"};
  double most = 1;
  for (const auto& [field, name] : {std::pair{"response_spectrum", "response"}, std::pair{"service_spectrum", "service"}}) {
    Curve curve{.name = name};
    for (const json::value& point : result.at(field).as_array()) {
      const double share = point.at(0).to_number<double>();
      // The last point is the largest value itself: it stands where the one before it does, one step on.
      const double x = share < 1 ? -std::log10(1 - share) : (curve.points.empty() ? 1 : curve.points.back().first + 0.075);
      curve.points.emplace_back(x, point.at(1).to_number<double>());
      most = std::max(most, x);
    }
    plot.curves.push_back(std::move(curve));
  }
  plot.x_most = most;
  for (const auto& [at, label] : {std::pair{0.0, "0 %"}, std::pair{0.30103, "50 %"}, std::pair{1.0, "90 %"},
                                  std::pair{2.0, "99 %"}, std::pair{3.0, "99.9 %"}, std::pair{4.0, "99.99 %"},
                                  std::pair{5.0, "99.999 %"}, std::pair{6.0, "99.9999 %"}, std::pair{7.0, "99.99999 %"}}) {
    if (at <= most) plot.x_ticks.push_back({at, label});
  }
  span_logarithmic(plot);
  return svg_of(plot);
}

std::string by_kind(const json::object& kinds) {
  std::string out =
      "<table><tr><th>kind</th><th>requests</th><th>a second</th><th>p50</th><th>p99</th><th>p99.9</th><th "
      "class=\"text\">results</th></tr>\n";
  for (const auto& [name, kind] : kinds) {
    std::string results;
    for (const auto& [outcome, count] : kind.at("results").as_object()) {
      results += fmt::format("{}{} {}", results.empty() ? "" : ", ", std::string_view(outcome),
                             count_text(count.to_number<double>()));
    }
    if (number(kind, "skipped") > 0) results += fmt::format("; skipped {}", count_text(number(kind, "skipped")));
    const json::value& times = kind.at("response_us");
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>\n",
        std::string_view(name), count_text(number(kind, "requests")), count_text(number(kind, "rate")),
        html_text(duration_text(number(times, "p50"))), html_text(duration_text(number(times, "p99"))),
        html_text(duration_text(number(times, "p99_9"))), html_text(results));
  }
  return out + "</table>\n";
}

std::string list_of(std::string_view heading, const json::value& texts) {
  if (texts.as_array().empty()) return {};
  std::string out = fmt::format("<h2>{}</h2>\n<ul>\n", heading);
  for (const json::value& one : texts.as_array()) out += fmt::format("<li>{}</li>\n", text(one));
  return out + "</ul>\n";
}

std::string pairs_of(const json::value& object) {
  std::string out;
  for (const auto& [name, value] : object.as_object()) {
    out += fmt::format("<tr><td>{}</td><td class=\"text\">{}</td></tr>\n", html_text(std::string_view(name)), text(value));
  }
  return out;
}

}  // namespace

std::string html_report(const json::object& result) {
  const json::value whole(result);
  const bool passed = result.at("passed").as_bool();
  const json::array& series = result.at("series").as_array();
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta "
      "charset=\"utf-8\"><title>{0}</title>\n<style>{1}</style></head><body>\n"
      "<h1>{0}</h1>\n<p>{2}, {3}. <span class=\"verdict {4}\">{5}</span></p>\n",
      text(result.at("title")), style, text(result.at("settings").at("url")), text(result.at("begun_at")),
      passed ? "passed" : "failed", passed ? "Passed: every answer was right" : "Failed");
  out += list_of("Why it failed", result.at("complaints"));
  out += list_of("Wrong answers", result.at("wrong_answers_told"));
  out += "<div class=\"figures\">\n";
  out += figure(count_text(number(whole, "rate")), "requests a second");
  out += figure(count_text(number(whole, "verdict_rate")), "verdicts a second");
  out += figure(duration_text(number(whole.at("response_us"), "p50")), "p50");
  out += figure(duration_text(number(whole.at("response_us"), "p99")), "p99");
  out += figure(duration_text(number(whole.at("response_us"), "p99_9")), "p99.9");
  out += figure(count_text(number(whole, "errors")), "errors");
  out += "</div>\n<h2>Latency over time</h2>\n" + latency_plot(series);
  out += "<h2>Throughput over time</h2>\n" + throughput_plot(series);
  out +=
      "<h2>All percentiles</h2>\n<p>Response time counts from the moment at which a request was due, service time from the "
      "moment at which it was "
      "sent; in a closed loop they are nearly the same.</p>\n" +
      spectrum_plot(result);
  out +=
      "<h2>Latency</h2>\n<table><tr><th></th><th>mean</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</"
      "th><th>max</th></tr>\n";
  out += latency_row("response", whole.at("response_us")) + latency_row("service", whole.at("service_us"));
  out += latency_row("own lag", whole.at("own_lag_us")) + latency_row("connecting", whole.at("connect_us"));
  out += "</table>\n<h2>By kind</h2>\n" + by_kind(result.at("kinds").as_object());
  out += fmt::format(
      "<p>Skipped, because nobody had a fresh code: {}. Due but never sent: {}. Connections opened: {}, failed: {}. Own "
      "cost: {:.2f} µs of "
      "a core for each request.{}</p>\n",
      count_text(number(whole, "skipped")), count_text(number(whole, "unsent")),
      count_text(number(whole, "connections_opened")), count_text(number(whole, "connections_failed")),
      number(whole, "own_cpu_us_a_request"),
      result.at("own_lag_matters").as_bool() ? " The load tester itself was late: its lag shows in these figures." : "");
  out += "<h2>Settings, machine, versions</h2>\n<table>\n" + pairs_of(result.at("settings")) +
         pairs_of(result.at("machine")) + pairs_of(result.at("versions")) + "</table>\n</body></html>\n";
  return out;
}

}  // namespace watchword::load
