// What a scrape answers: sources are registered once at start, read at every scrape, and written in Prometheus text format
// 0.0.4 by prometheus-cpp's serializer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metrics/counters.h"

namespace watchword::metrics {

using Label = std::pair<std::string, std::string>;  // values come from small fixed sets; no user or device is ever one

class Exposition {
 public:
  Exposition();
  ~Exposition();
  Exposition(const Exposition&) = delete;
  Exposition& operator=(const Exposition&) = delete;

  // Registration is for start-up, before the first scrape. Sources that share a name and labels are added up (one a thread).
  // The functions are called on the scraping thread and must not block.
  void add_counter(const std::string& name, const std::string& help, std::vector<Label> labels,
                   std::function<double()> read);
  void add_gauge(const std::string& name, const std::string& help, std::vector<Label> labels, std::function<double()> read);
  // `histogram` lives as long as this object is scraped.
  void add_histogram(const std::string& name, const std::string& help, std::vector<Label> labels,
                     const DurationHistogram& histogram);

  // Any thread, one at a time or many.
  std::string scrape() const;
  static const char* content_type() { return "text/plain; version=0.0.4; charset=utf-8"; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace watchword::metrics
