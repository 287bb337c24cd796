// What the console draws of the time before somebody opened it: a few series, read every five seconds and kept for half an
// hour, in memory alone. For who comes when it is late already; who keeps a Prometheus has more.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "metrics/counters.h"
#include "metrics/exposition.h"

namespace watchword::metrics {

class History {
 public:
  static constexpr std::chrono::seconds interval{5};
  static constexpr std::size_t readings_max = 361;  // half an hour, with both its ends

  // Where a series is found, and how answers call it.
  struct Series {
    std::string name;
    std::string metric;
    Labels labels;
  };
  // Counts since the process began, in the order of the series. Buckets are not cumulative (DurationHistogram::count).
  using Buckets = std::array<std::uint64_t, DurationHistogram::bounds_ns.size() + 1>;
  struct Reading {
    std::int64_t at_ms = 0;
    std::vector<double> counters;
    std::vector<Buckets> histograms;
  };

  History(std::vector<Series> counters, std::vector<Series> histograms);

  // Sources, as Exposition::add_collector takes them: before the first reading. What is no series of ours is passed over,
  // and what shares one is added up.
  void add_collector(std::function<void(Collected&)> collect) { collectors_.push_back(std::move(collect)); }
  // Every `interval`, by one thread; the oldest reading makes room.
  void read(std::int64_t now_ms);

  const std::vector<Series>& counters() const { return counters_; }
  const std::vector<Series>& histograms() const { return histograms_; }
  // Oldest first. Any thread.
  std::vector<Reading> readings() const;

 private:
  const std::vector<Series> counters_;
  const std::vector<Series> histograms_;
  std::vector<std::function<void(Collected&)>> collectors_;
  mutable std::mutex mutex_;
  std::deque<Reading> readings_;  // under mutex_
};

}  // namespace watchword::metrics
