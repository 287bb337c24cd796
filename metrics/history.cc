#include "metrics/history.h"

#include <utility>

namespace watchword::metrics {
namespace {

// Takes the series that are wanted out of what collectors tell.
class Picked final : public Collected {
 public:
  Picked(const History& history, History::Reading& into) : history_(history), into_(into) {}

  void counter(const std::string& name, const std::string&, Labels labels, double value) override {
    for (std::size_t i = 0; i < history_.counters().size(); ++i) {
      if (is(history_.counters()[i], name, labels)) into_.counters[i] += value;
    }
  }
  void gauge(const std::string&, const std::string&, Labels, double) override {}
  void histogram(const std::string& name, const std::string&, Labels labels, const DurationHistogram& histogram) override {
    for (std::size_t i = 0; i < history_.histograms().size(); ++i) {
      if (!is(history_.histograms()[i], name, labels)) continue;
      History::Buckets& sum = into_.histograms[i];
      for (std::size_t bucket = 0; bucket < sum.size(); ++bucket) sum[bucket] += histogram.count(bucket);
    }
  }
  void histogram(const std::string&, const std::string&, Labels, const SizeHistogram&) override {}

 private:
  static bool is(const History::Series& series, const std::string& name, const Labels& labels) {
    return series.metric == name && series.labels == labels;
  }

  const History& history_;
  History::Reading& into_;
};

}  // namespace

History::History(std::vector<Series> counters, std::vector<Series> histograms)
    : counters_(std::move(counters)), histograms_(std::move(histograms)) {}

void History::read(std::int64_t now_ms) {
  Reading reading{.at_ms = now_ms,
                  .counters = std::vector<double>(counters_.size()),
                  .histograms = std::vector<Buckets>(histograms_.size())};
  Picked picked(*this, reading);
  for (const auto& collect : collectors_) collect(picked);
  const std::lock_guard lock(mutex_);
  if (readings_.size() == readings_max) readings_.pop_front();
  readings_.push_back(std::move(reading));
}

std::vector<History::Reading> History::readings() const {
  const std::lock_guard lock(mutex_);
  return {readings_.begin(), readings_.end()};
}

}  // namespace watchword::metrics
