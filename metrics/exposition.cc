#include "metrics/exposition.h"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <map>
#include <mutex>

namespace watchword::metrics {
namespace {

using prometheus::MetricType;

struct HistogramReading {
  std::vector<double> bounds;  // without the infinite one
  std::vector<std::uint64_t> counts;
  double sum = 0;
};

HistogramReading read(const DurationHistogram& histogram) {
  HistogramReading reading;
  for (const std::int64_t bound : DurationHistogram::bounds_ns) {
    reading.bounds.push_back(static_cast<double>(bound) / 1e9);
  }
  for (std::size_t i = 0; i <= reading.bounds.size(); ++i) reading.counts.push_back(histogram.count(i));
  reading.sum = static_cast<double>(histogram.sum_ns()) * 1e-9;
  return reading;
}

HistogramReading read(const SizeHistogram& histogram) {
  HistogramReading reading;
  for (std::size_t i = 0; i < SizeHistogram::bound_count; ++i) {
    reading.bounds.push_back(static_cast<double>(SizeHistogram::bound(i)));
  }
  for (std::size_t i = 0; i <= reading.bounds.size(); ++i) reading.counts.push_back(histogram.count(i));
  reading.sum = static_cast<double>(histogram.sum());
  return reading;
}

prometheus::ClientMetric metric_of(const Labels& labels) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : labels) {
    prometheus::ClientMetric::Label label;
    label.name = name;
    label.value = value;
    metric.label.push_back(std::move(label));
  }
  return metric;
}

// Buckets of the same bounds: one histogram of all of them.
void add_to(prometheus::ClientMetric::Histogram& sum, const HistogramReading& reading) {
  sum.bucket.resize(reading.counts.size());
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < reading.counts.size(); ++i) {
    cumulative += reading.counts[i];
    sum.bucket[i].cumulative_count += cumulative;
    sum.bucket[i].upper_bound = i < reading.bounds.size() ? reading.bounds[i] : std::numeric_limits<double>::infinity();
  }
  sum.sample_count += cumulative;
  sum.sample_sum += reading.sum;
}

// One scrape's families, by name and labels.
class Gathering final : public Collected {
 public:
  void counter(const std::string& name, const std::string& help, Labels labels, double value) override {
    at(name, help, MetricType::Counter, std::move(labels)).counter.value += value;
  }
  void gauge(const std::string& name, const std::string& help, Labels labels, double value) override {
    at(name, help, MetricType::Gauge, std::move(labels)).gauge.value += value;
  }
  void histogram(const std::string& name, const std::string& help, Labels labels,
                 const DurationHistogram& histogram) override {
    add_to(at(name, help, MetricType::Histogram, std::move(labels)).histogram, read(histogram));
  }
  void histogram(const std::string& name, const std::string& help, Labels labels, const SizeHistogram& histogram) override {
    add_to(at(name, help, MetricType::Histogram, std::move(labels)).histogram, read(histogram));
  }

  std::vector<prometheus::MetricFamily> families() && {
    std::vector<prometheus::MetricFamily> out;
    for (auto& [name, family] : families_) {
      prometheus::MetricFamily one;
      one.name = name;
      one.help = family.help;
      one.type = family.type;
      for (auto& [labels, metric] : family.series) one.metric.push_back(std::move(metric));
      out.push_back(std::move(one));
    }
    return out;
  }

 private:
  struct Family {
    std::string help;
    MetricType type;
    std::map<Labels, prometheus::ClientMetric> series;
  };

  prometheus::ClientMetric& at(const std::string& name, const std::string& help, MetricType type, Labels labels) {
    Family& family = families_.try_emplace(name, Family{help, type, {}}).first->second;
    const auto found = family.series.find(labels);
    if (found != family.series.end()) return found->second;
    prometheus::ClientMetric metric = metric_of(labels);
    return family.series.emplace(std::move(labels), std::move(metric)).first->second;
  }

  std::map<std::string, Family> families_;
};

}  // namespace

struct Exposition::State final : prometheus::Collectable {
  mutable std::mutex mutex;
  std::vector<std::function<void(Collected&)>> collectors;  // under mutex

  void add(std::function<void(Collected&)> collect) {
    const std::lock_guard lock(mutex);
    collectors.push_back(std::move(collect));
  }
  std::vector<prometheus::MetricFamily> Collect() const override {
    Gathering gathering;
    const std::lock_guard lock(mutex);
    for (const auto& collect : collectors) collect(gathering);
    return std::move(gathering).families();
  }
};

Exposition::Exposition() : state_(std::make_unique<State>()) {}
Exposition::~Exposition() = default;

void Exposition::add_collector(std::function<void(Collected&)> collect) {
  state_->add(std::move(collect));
}

void Exposition::add_counter(const std::string& name, const std::string& help, const Labels& labels,
                             std::function<double()> read) {
  state_->add([=, read = std::move(read)](Collected& into) { into.counter(name, help, labels, read()); });
}

void Exposition::add_gauge(const std::string& name, const std::string& help, const Labels& labels,
                           std::function<double()> read) {
  state_->add([=, read = std::move(read)](Collected& into) { into.gauge(name, help, labels, read()); });
}

void Exposition::add_histogram(const std::string& name, const std::string& help, const Labels& labels,
                               const DurationHistogram& histogram) {
  state_->add([=, &histogram](Collected& into) { into.histogram(name, help, labels, histogram); });
}

void Exposition::add_histogram(const std::string& name, const std::string& help, const Labels& labels,
                               const SizeHistogram& histogram) {
  state_->add([=, &histogram](Collected& into) { into.histogram(name, help, labels, histogram); });
}

std::string Exposition::scrape() {
  return prometheus::TextSerializer{}.Serialize(state_->Collect());
}

}  // namespace watchword::metrics
