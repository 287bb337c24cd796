// Counters and histograms that a hot path can afford: plain increments in memory that one thread writes, gathered when
// somebody scrapes. No lock, no shared cache line, no look-up.
//
// Whoever counts keeps these beside what is counted and registers them once with an Exposition (metrics/exposition.h).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace watchword::metrics {

// Written by its owning thread only, read by any. The owner needs no read-modify-write: relaxed load and store keep a scrape
// from seeing half a number, and nothing else is ordered by it.
class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Written by any thread; for what happens off the event loops.
class SharedCounter {
 public:
  void add(std::uint64_t amount = 1) noexcept { value_.fetch_add(amount, std::memory_order_relaxed); }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Durations from 10 us to 10 s. The bounds hold the service levels' own (10 ms among them).
class alignas(64) DurationHistogram {
 public:
  static constexpr std::array<std::int64_t, 19> bounds_ns = {
      10'000,      25'000,        50'000,        100'000,       250'000,       500'000,     1'000'000,
      2'500'000,   5'000'000,     10'000'000,    25'000'000,    50'000'000,    100'000'000, 250'000'000,
      500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

  // Below zero counts as zero. `times`: so many took that long.
  void observe(std::chrono::nanoseconds duration, std::uint64_t times = 1) noexcept {
    const std::int64_t ns = duration.count() > 0 ? duration.count() : 0;
    counts_[bucket_of(ns)].add(times);
    sum_ns_.add(static_cast<std::uint64_t>(ns) * times);
  }
  // The first whose bound holds it; the last one is for what is above all bounds.
  static constexpr std::size_t bucket_of(std::int64_t ns) noexcept {
    const std::size_t lowest = lowest_of_width[static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(ns)))];
    return lowest + static_cast<std::size_t>(ns > limits_ns[lowest]);
  }
  // Not cumulative; the last one counts what is above all bounds.
  std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket].value(); }
  std::uint64_t sum_ns() const noexcept { return sum_ns_.value(); }

 private:
  // The bounds, and one that nothing is above.
  static constexpr std::array<std::int64_t, bounds_ns.size() + 1> limits_ns = [] {
    std::array<std::int64_t, bounds_ns.size() + 1> limits{};
    std::copy(bounds_ns.begin(), bounds_ns.end(), limits.begin());
    limits.back() = std::numeric_limits<std::int64_t>::max();
    return limits;
  }();
  // The bucket of the smallest number that has so many bits. Bounds lie so far apart that no more than one is between a
  // power of two and the next: a number is in that bucket or in the one above.
  static constexpr std::array<std::uint8_t, 65> lowest_of_width = [] {
    std::array<std::uint8_t, 65> lowest{};
    for (std::size_t width = 1; width < lowest.size(); ++width) {
      const std::uint64_t smallest = std::uint64_t{1} << (width - 1);
      while (lowest[width] < bounds_ns.size() && smallest > static_cast<std::uint64_t>(bounds_ns[lowest[width]])) {
        ++lowest[width];
      }
    }
    return lowest;
  }();

  // The sum and the buckets of what is quick share a cache line.
  Counter sum_ns_;
  std::array<Counter, bounds_ns.size() + 1> counts_;
};

// Sizes from 1 to 32,768 by powers of two.
class SizeHistogram {
 public:
  static constexpr std::size_t bound_count = 16;
  static constexpr std::uint64_t bound(std::size_t bucket) { return std::uint64_t{1} << bucket; }

  void observe(std::uint64_t size) noexcept {
    const auto bucket = static_cast<std::size_t>(size > 1 ? std::bit_width(size - 1) : 0);
    counts_[bucket < bound_count ? bucket : bound_count].add();
    sum_.add(size);
  }
  // Not cumulative; the last one counts what is above all bounds.
  std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket].value(); }
  std::uint64_t sum() const noexcept { return sum_.value(); }

 private:
  std::array<Counter, bound_count + 1> counts_;
  Counter sum_;
};

}  // namespace watchword::metrics
