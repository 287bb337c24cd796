#include <fmt/format.h>

#include "bench/load/result.h"

namespace watchword::load {
namespace {

namespace json = boost::json;

double number(const json::value& object, std::string_view name) {
  return object.at(name).to_number<double>();
}

std::string latency_line(std::string_view name, const json::value& of) {
  return fmt::format("  {:<26} {:>10} {:>10} {:>10} {:>10} {:>10}\n", name, duration_text(number(of, "p50")),
                     duration_text(number(of, "p90")), duration_text(number(of, "p99")), duration_text(number(of, "p99_9")),
                     duration_text(number(of, "max")));
}

}  // namespace

std::string duration_text(double microseconds) {
  const auto three = [](double value, std::string_view unit) {
    return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, unit);
  };
  if (microseconds < 1000) return three(microseconds, "µs");
  if (microseconds < 1e6) return three(microseconds / 1e3, "ms");
  return three(microseconds / 1e6, "s");
}

std::string count_text(double value) {
  const std::string digits = fmt::format("{:.0f}", value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0 && digits[i - 1] != '-') out += ',';
    out += digits[i];
  }
  return out;
}

std::string text_of(const json::object& result) {
  const json::value& settings = result.at("settings");
  const auto text = [](const json::value& value) { return std::string_view(value.as_string()); };
  std::string out =
      fmt::format("{}: {}, {} loop, {} connections, {} threads\n\n", text(settings.at("url")), text(result.at("title")),
                  text(settings.at("loop")), number(settings, "connections"), number(settings, "threads"));
  const json::value whole(result);
  out += fmt::format("{} requests in {:.1f} s: {} a second; {} verdicts a second; {} errors\n\n",
                     count_text(number(whole, "requests")), number(whole, "measured_s"), count_text(number(whole, "rate")),
                     count_text(number(whole, "verdict_rate")), count_text(number(whole, "errors")));
  out += fmt::format("  {:<26} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "latency", "p50", "p90", "p99", "p99.9", "max");
  out += latency_line("response (since due)", whole.at("response_us"));
  out += latency_line("service (since sent)", whole.at("service_us"));
  out += latency_line("own lag", whole.at("own_lag_us"));
  if (number(settings, "churn") > 0) out += latency_line("connecting", whole.at("connect_us"));
  out += fmt::format("\n  {:<26} {:>10} {:>10} {:>10} {:>10}   {}\n", "by kind", "requests", "a second", "p50", "p99",
                     "results");
  for (const auto& [name, kind] : result.at("kinds").as_object()) {
    std::string results;
    for (const auto& [outcome, count] : kind.at("results").as_object()) {
      results += fmt::format("{}{} {}", results.empty() ? "" : ", ", std::string_view(outcome),
                             count_text(count.to_number<double>()));
    }
    if (number(kind, "skipped") > 0) results += fmt::format("; {} skipped", count_text(number(kind, "skipped")));
    out += fmt::format("  {:<26} {:>10} {:>10} {:>10} {:>10}   {}\n", std::string_view(name),
                       count_text(number(kind, "requests")), count_text(number(kind, "rate")),
                       duration_text(number(kind.at("response_us"), "p50")),
                       duration_text(number(kind.at("response_us"), "p99")), results);
  }
  out += fmt::format("\nOwn cost: {:.2f} µs of a core for each request.\n", number(whole, "own_cpu_us_a_request"));
  if (number(whole, "skipped") > 0) {
    out +=
        "Some requests were skipped: everybody's codes were used up until the next step. Take more --users, a longer run or "
        "another mix.\n";
  }
  if (number(whole, "unsent") > 0) {
    out += fmt::format("{} requests were due and never sent: the server is slower than the rate asked for.\n",
                       count_text(number(whole, "unsent")));
  }
  if (whole.at("own_lag_matters").as_bool()) {
    out += "The load tester itself was late: take more --threads, or a machine of its own.\n";
  }
  for (const json::value& told : result.at("wrong_answers_told").as_array()) out += fmt::format("WRONG  {}\n", text(told));
  out += result.at("passed").as_bool() ? "PASSED\n" : "FAILED\n";
  for (const json::value& complaint : result.at("complaints").as_array()) out += fmt::format("  {}\n", text(complaint));
  return out;
}

}  // namespace watchword::load
