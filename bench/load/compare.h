// Two results side by side, with a verdict.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace watchword::load {

struct Comparison {
  std::string text;
  bool worse = false;  // some figure of `b` is worse than that of `a` by more than the threshold, or one of the runs failed
};

// `threshold` is a share: 0.1 lets a rate be a tenth lower, and a latency a tenth higher. Latencies below `noise_us` are not
// compared: what a scheduler does weighs more. Throws std::runtime_error where a document is no result.
Comparison compare(const boost::json::value& a, const boost::json::value& b, double threshold, double noise_us);

boost::json::value read_result(const std::string& file);

}  // namespace watchword::load
