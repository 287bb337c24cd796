#include "bench/load/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "bench/load/result.h"

namespace watchword::load {
namespace {

namespace json = boost::json;

double number(const json::value& object, std::string_view name) {
  return object.at(name).to_number<double>();
}

class Table {
 public:
  Table(double threshold, double noise_us) : threshold_(threshold), noise_us_(noise_us) {
    text_ = fmt::format("{:<34} {:>12} {:>12} {:>8}\n", "", "A", "B", "B/A");
  }

  void rate(const std::string& name, double a, double b) {
    row(name, count_text(a), count_text(b), a, b, b < a * (1 - threshold_));
  }
  void latency(const std::string& name, const json::value& a, const json::value& b) {
    for (const std::string_view share : {"p50", "p99", "p99_9"}) {
      const double before = number(a, share), after = number(b, share);
      // A tail of a few values is chance.
      const double count = std::min(number(a, "count"), number(b, "count"));
      if (count < (share == "p50" ? 20 : share == "p99" ? 1000 : 10000)) continue;
      const bool noise = std::max(before, after) < noise_us_;
      row(fmt::format("{} {}", name, share), duration_text(before), duration_text(after), before, after,
          !noise && after > before * (1 + threshold_));
    }
  }
  const std::string& text() const { return text_; }
  unsigned worse() const { return worse_; }

 private:
  void row(const std::string& name, const std::string& a, const std::string& b, double before, double after, bool worse) {
    const std::string ratio = before > 0 ? fmt::format("{:.2f}", after / before) : std::string("-");
    text_ += fmt::format("{:<34} {:>12} {:>12} {:>8}{}\n", name, a, b, ratio, worse ? "  WORSE" : "");
    worse_ += worse ? 1 : 0;
  }

  double threshold_, noise_us_;
  std::string text_;
  unsigned worse_ = 0;
};

}  // namespace

Comparison compare(const json::value& a, const json::value& b, double threshold, double noise_us) {
  Table table(threshold, noise_us);
  const json::value& settings = a.at("settings");
  const bool open = settings.at("loop").as_string() == "open";
  table.rate("rate", number(a, "rate"), number(b, "rate"));
  table.rate("verdicts a second", number(a, "verdict_rate"), number(b, "verdict_rate"));
  table.latency("response", a.at("response_us"), b.at("response_us"));
  table.latency("service", a.at("service_us"), b.at("service_us"));
  for (const auto& [name, kind] : a.at("kinds").as_object()) {
    const json::value* const other = b.at("kinds").as_object().if_contains(name);
    if (!other) continue;
    const std::string kind_name(name);
    // In an open loop, rates are what was asked for.
    if (!open) table.rate(kind_name + " rate", number(kind, "rate"), number(*other, "rate"));
    table.latency(kind_name + " response", kind.at("response_us"), other->at("response_us"));
  }
  Comparison comparison{.text = table.text(), .worse = table.worse() > 0};
  for (const std::string_view name : {"mix", "loop", "connections", "pipeline", "threads"}) {
    if (settings.at(name) != b.at("settings").at(name)) {
      comparison.text += fmt::format("Not alike: {} is {} in A and {} in B.\n", name, json::serialize(settings.at(name)),
                                     json::serialize(b.at("settings").at(name)));
    }
  }
  if (a.at("machine") != b.at("machine")) comparison.text += "Not alike: A and B ran on different machines.\n";
  for (const auto& [name, result] : {std::pair{"A", &a}, std::pair{"B", &b}}) {
    if (result->at("passed").as_bool()) continue;
    comparison.text += fmt::format("{} is a failed run.\n", name);
    comparison.worse = true;
  }
  comparison.text += comparison.worse
                         ? fmt::format("WORSE: {} figures by more than {:.0f} %\n", table.worse(), threshold * 100)
                         : fmt::format("OK: nothing is worse by more than {:.0f} %\n", threshold * 100);
  return comparison;
}

json::value read_result(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error(fmt::format("{} cannot be read", file));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  json::error_code fault;
  json::value document = json::parse(text, fault);
  if (fault || !document.is_object() || !document.as_object().contains("response_spectrum")) {
    throw std::runtime_error(fmt::format("{} is no result of watchword-load --json", file));
  }
  return document;
}

}  // namespace watchword::load
