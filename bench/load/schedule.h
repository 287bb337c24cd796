// When each request of an open loop is meant to be sent. A thread takes every n-th of one common sequence, so the whole is
// even.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string_view>

namespace watchword::load {

// Requests a second at the run's begin and end; equal: a fixed rate.
struct Rate {
  double begin = 0;
  double end = 0;
  // "20000" or "1000:50000".
  static std::optional<Rate> parse(std::string_view text);
};

enum class Arrivals { even, poisson };

class Schedule {
 public:
  Schedule(Rate rate, std::int64_t duration_ns, Arrivals arrivals, unsigned thread, unsigned threads);
  // Nanoseconds after the run's begin at which the next request is due; nullopt after the last.
  std::optional<std::int64_t> due() const { return due_; }
  void advance();

 private:
  void place();

  Rate rate_;
  double duration_s_;
  Arrivals arrivals_;
  double ordinal_;  // of the whole sequence
  double stride_;
  std::mt19937_64 random_;
  std::optional<std::int64_t> due_;
};

}  // namespace watchword::load
