#include "metrics/exposition.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <map>

namespace watchword::metrics {
namespace {

struct Series {
  std::vector<std::function<double()>> values;
  std::vector<const DurationHistogram*> histograms;
};

struct Family {
  std::string help;
  prometheus::MetricType type;
  std::map<std::vector<Label>, Series> series;
};

prometheus::ClientMetric::Histogram add_up(const std::vector<const DurationHistogram*>& histograms) {
  prometheus::ClientMetric::Histogram sum;
  std::uint64_t count = 0;
  const std::size_t buckets = DurationHistogram::bounds_ns.size();
  for (std::size_t bucket = 0; bucket <= buckets; ++bucket) {
    for (const DurationHistogram* histogram : histograms) count += histogram->count(bucket);
    prometheus::ClientMetric::Bucket point;
    point.cumulative_count = count;
    point.upper_bound = bucket < buckets ? static_cast<double>(DurationHistogram::bounds_ns[bucket]) * 1e-9
                                         : std::numeric_limits<double>::infinity();
    sum.bucket.push_back(point);
  }
  sum.sample_count = count;
  for (const DurationHistogram* histogram : histograms) sum.sample_sum += static_cast<double>(histogram->sum_ns()) * 1e-9;
  return sum;
}

prometheus::ClientMetric metric_of(const Family& family, const std::vector<Label>& labels, const Series& series) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : labels) {
    prometheus::ClientMetric::Label label;
    label.name = name;
    label.value = value;
    metric.label.push_back(std::move(label));
  }
  double value = 0;
  for (const auto& read : series.values) value += read();
  if (family.type == prometheus::MetricType::Counter) metric.counter.value = value;
  if (family.type == prometheus::MetricType::Gauge) metric.gauge.value = value;
  if (family.type == prometheus::MetricType::Histogram) metric.histogram = add_up(series.histograms);
  return metric;
}

}  // namespace

struct Exposition::State {
  std::map<std::string, Family> families;

  Series& series(const std::string& name, const std::string& help, prometheus::MetricType type, std::vector<Label> labels) {
    Family& family = families.try_emplace(name, Family{help, type, {}}).first->second;
    return family.series[std::move(labels)];
  }
};

Exposition::Exposition() : state_(std::make_unique<State>()) {}
Exposition::~Exposition() = default;

void Exposition::add_counter(const std::string& name, const std::string& help, std::vector<Label> labels,
                             std::function<double()> read) {
  state_->series(name, help, prometheus::MetricType::Counter, std::move(labels)).values.push_back(std::move(read));
}

void Exposition::add_gauge(const std::string& name, const std::string& help, std::vector<Label> labels,
                           std::function<double()> read) {
  state_->series(name, help, prometheus::MetricType::Gauge, std::move(labels)).values.push_back(std::move(read));
}

void Exposition::add_histogram(const std::string& name, const std::string& help, std::vector<Label> labels,
                               const DurationHistogram& histogram) {
  state_->series(name, help, prometheus::MetricType::Histogram, std::move(labels)).histograms.push_back(&histogram);
}

std::string Exposition::scrape() const {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, family] : state_->families) {
    prometheus::MetricFamily out;
    out.name = name;
    out.help = family.help;
    out.type = family.type;
    for (const auto& [labels, series] : family.series) out.metric.push_back(metric_of(family, labels, series));
    families.push_back(std::move(out));
  }
  return prometheus::TextSerializer{}.Serialize(families);
}

}  // namespace watchword::metrics
