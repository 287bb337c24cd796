#include "bench/load/schedule.h"

#include <charconv>
#include <cmath>

namespace watchword::load {
namespace {

std::optional<double> positive(std::string_view text) {
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || !(value > 0) || value > 1e8) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Rate> Rate::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::optional<double> begin = positive(text.substr(0, colon));
  const std::optional<double> end = colon == std::string_view::npos ? begin : positive(text.substr(colon + 1));
  if (!begin || !end) return std::nullopt;
  return Rate{*begin, *end};
}

Schedule::Schedule(Rate rate, std::int64_t duration_ns, Arrivals arrivals, unsigned thread, unsigned threads)
    : rate_(rate),
      duration_s_(static_cast<double>(duration_ns) / 1e9),
      arrivals_(arrivals),
      ordinal_(thread),
      stride_(threads),
      random_(0x9e3779b97f4a7c15u + thread) {
  if (arrivals_ == Arrivals::poisson) ordinal_ = std::exponential_distribution<double>(1 / stride_)(random_);
  place();
}

void Schedule::advance() {
  ordinal_ += arrivals_ == Arrivals::even ? stride_ : std::exponential_distribution<double>(1 / stride_)(random_);
  place();
}

// Until t seconds, begin * t + (end - begin) * t^2 / (2 * duration) requests are due; solved for t.
void Schedule::place() {
  const double slope = (rate_.end - rate_.begin) / duration_s_;
  double at_s = ordinal_ / rate_.begin;
  if (slope != 0) {
    const double root = rate_.begin * rate_.begin + 2 * slope * ordinal_;
    if (root < 0) {
      due_.reset();
      return;
    }
    at_s = 2 * ordinal_ / (rate_.begin + std::sqrt(root));
  }
  if (at_s < duration_s_) {
    due_ = static_cast<std::int64_t>(at_s * 1e9);
  } else {
    due_.reset();
  }
}

}  // namespace watchword::load
