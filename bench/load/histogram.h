// Counts of durations in log-linear buckets: 128 to each doubling, so that a value read back is off by less than one part in
// 128. One thread writes; any thread may read at any time and sees each counter whole, if not all of the same moment.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace watchword::load {

class Histogram {
 public:
  static constexpr int precision_bits = 7;
  static constexpr int value_bits = 40;  // nanoseconds: 18 minutes; longer ones count as that
  static constexpr std::size_t buckets = static_cast<std::size_t>(value_bits - precision_bits + 1) << precision_bits;

  Histogram() : counts_(buckets) {}
  // A copy of what is there at this moment.
  Histogram(const Histogram& other) : Histogram() { add(other); }
  Histogram& operator=(const Histogram&) = delete;

  // Below zero counts as zero. Owner only.
  void record(std::int64_t value_ns);
  void add(const Histogram& other);
  // What came since `earlier`, an older copy of this one. Its largest value is then known to its bucket only.
  Histogram since(const Histogram& earlier) const;

  std::uint64_t count() const;
  std::int64_t max() const { return max_.load(std::memory_order_relaxed); }
  double mean() const;
  // The value that `share` (0 to 1) of all values do not exceed; 0 when empty. share 1 is the largest value itself.
  std::int64_t percentile(double share) const;

  struct Point {
    double share;
    std::int64_t value_ns;
  };
  // From the median's side to the tail: each step halves what is left, with a few steps to each halving.
  std::vector<Point> spectrum() const;

  static std::size_t bucket_of(std::int64_t value);
  // The largest value that the bucket holds.
  static std::int64_t highest_in(std::size_t bucket);

 private:
  // Written by the owner alone with plain loads and stores; atomic only so that readers see no torn number.
  std::vector<std::atomic<std::uint64_t>> counts_;
  std::atomic<std::int64_t> max_{0};
  std::atomic<std::int64_t> sum_{0};
};

}  // namespace watchword::load
