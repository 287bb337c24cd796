#include "bench/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace watchword::load {
namespace {

constexpr std::int64_t value_max = (std::int64_t{1} << Histogram::value_bits) - 1;

template <class Number>
void bump(std::atomic<Number>& counter, Number by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

std::size_t Histogram::bucket_of(std::int64_t value) {
  const std::uint64_t bounded = static_cast<std::uint64_t>(std::clamp<std::int64_t>(value, 0, value_max));
  const int shift = std::max(0, static_cast<int>(std::bit_width(bounded)) - precision_bits - 1);
  return (static_cast<std::size_t>(shift) << precision_bits) + static_cast<std::size_t>(bounded >> shift);
}

std::int64_t Histogram::highest_in(std::size_t bucket) {
  constexpr std::size_t half = std::size_t{1} << precision_bits;
  if (bucket < 2 * half) return static_cast<std::int64_t>(bucket);
  const std::size_t shift = (bucket >> precision_bits) - 1;
  const std::size_t lead = bucket - (shift << precision_bits);
  return static_cast<std::int64_t>(((lead + 1) << shift) - 1);
}

void Histogram::record(std::int64_t value_ns) {
  const std::int64_t value = std::clamp<std::int64_t>(value_ns, 0, value_max);
  bump(counts_[bucket_of(value)], std::uint64_t{1});
  bump(sum_, value);
  if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
}

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < buckets; ++i) {
    if (const std::uint64_t more = other.counts_[i].load(std::memory_order_relaxed)) bump(counts_[i], more);
  }
  bump(sum_, other.sum_.load(std::memory_order_relaxed));
  max_.store(std::max(max(), other.max()), std::memory_order_relaxed);
}

Histogram Histogram::since(const Histogram& earlier) const {
  Histogram more;
  for (std::size_t i = 0; i < buckets; ++i) {
    const std::uint64_t now = counts_[i].load(std::memory_order_relaxed),
                        then = earlier.counts_[i].load(std::memory_order_relaxed);
    if (now <= then) continue;
    more.counts_[i].store(now - then, std::memory_order_relaxed);
    more.max_.store(std::min(highest_in(i), max()), std::memory_order_relaxed);
  }
  more.sum_.store(sum_.load(std::memory_order_relaxed) - earlier.sum_.load(std::memory_order_relaxed),
                  std::memory_order_relaxed);
  return more;
}

std::uint64_t Histogram::count() const {
  std::uint64_t total = 0;
  for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
  return total;
}

double Histogram::mean() const {
  const std::uint64_t values = count();
  return values == 0 ? 0.0 : static_cast<double>(sum_.load(std::memory_order_relaxed)) / static_cast<double>(values);
}

std::int64_t Histogram::percentile(double share) const {
  const std::uint64_t values = count();
  if (values == 0) return 0;
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(values))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i].load(std::memory_order_relaxed);
    if (seen >= wanted) return std::min(highest_in(i), max());
  }
  return max();
}

std::vector<Histogram::Point> Histogram::spectrum() const {
  constexpr int steps_a_halving = 4;
  std::vector<Point> points;
  const auto values = static_cast<double>(count());
  if (values == 0) return points;
  for (int step = 0;; ++step) {
    const double left = std::exp2(-static_cast<double>(step) / steps_a_halving);
    if (left * values < 1) break;
    points.push_back({1 - left, percentile(1 - left)});
  }
  points.push_back({1, max()});
  return points;
}

}  // namespace watchword::load
