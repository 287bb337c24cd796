// What a scrape answers: sources are registered once at start, read at every scrape (a prometheus::Collectable of our own),
// and written in Prometheus text format 0.0.4 by prometheus-cpp's serializer.
//
// Names follow Prometheus' conventions: watchword_ first, base units (_seconds, _bytes), _total at the end of a counter.
// Help is one line without backslashes: the serializer does not escape it. `promtool check metrics` looks at all of it in
// the tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metrics/counters.h"

namespace watchword::metrics {

using Label = std::pair<std::string, std::string>;  // values come from small fixed sets; no user or device is ever one
using Labels = std::vector<Label>;

// Where a collector puts what it finds, within one scrape. What shares a name and labels is added up.
class Collected {
 public:
  virtual void counter(const std::string& name, const std::string& help, Labels labels, double value) = 0;
  virtual void gauge(const std::string& name, const std::string& help, Labels labels, double value) = 0;
  virtual void histogram(const std::string& name, const std::string& help, Labels labels,
                         const DurationHistogram& histogram) = 0;
  virtual void histogram(const std::string& name, const std::string& help, Labels labels,
                         const SizeHistogram& histogram) = 0;

 protected:
  ~Collected() = default;
};

class Exposition {
 public:
  Exposition();
  ~Exposition();
  Exposition(const Exposition&) = delete;
  Exposition& operator=(const Exposition&) = delete;

  // Any thread. What is registered lives as long as this object is scraped. Sources that share a name and labels are added
  // up (one a thread). Functions are called on the scraping thread, one scrape at a time, and must not wait for anything
  // that may take long.
  void add_counter(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> read);
  void add_gauge(const std::string& name, const std::string& help, const Labels& labels, std::function<double()> read);
  void add_histogram(const std::string& name, const std::string& help, const Labels& labels,
                     const DurationHistogram& histogram);
  void add_histogram(const std::string& name, const std::string& help, const Labels& labels, const SizeHistogram& histogram);
  // For series that are known only when they are there, or that are read together.
  void add_collector(std::function<void(Collected&)> collect);

  // Any thread; one scrape at a time, others wait.
  std::string scrape();
  static const char* content_type() { return "text/plain; version=0.0.4; charset=utf-8"; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace watchword::metrics
