#include "bench/load/mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace watchword::load {
namespace {

constexpr std::array<std::string_view, kinds> names = {"accept",      "wrong",   "replay",  "batch",
                                                       "register",    "cold",    "hot",     "attack-one",
                                                       "attack-many", "unknown", "confirm", "prime"};

}  // namespace

std::string_view name_of(Kind kind) {
  return names[static_cast<std::size_t>(kind)];
}

tl::expected<Mix, std::string> Mix::parse(std::string_view text) {
  Mix mix;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t equals = part.find('=');
    const auto name = std::find(names.begin(), names.begin() + static_cast<int>(Kind::confirm), part.substr(0, equals));
    if (name == names.begin() + static_cast<int>(Kind::confirm)) {
      return tl::unexpected(fmt::format("\"{}\" is no kind of request; there are {}", part.substr(0, equals),
                                        fmt::join(names.begin(), names.begin() + static_cast<int>(Kind::confirm), ", ")));
    }
    double weight = 1;
    if (equals != std::string_view::npos) {
      const std::string_view number = part.substr(equals + 1);
      const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), weight);
      if (fault != std::errc() || end != number.data() + number.size() || !(weight > 0) || weight > 1e9) {
        return tl::unexpected(fmt::format("the weight of \"{}\" must be a number above 0", *name));
      }
    }
    if (!mix.weights_.emplace(static_cast<Kind>(name - names.begin()), weight).second) {
      return tl::unexpected(fmt::format("\"{}\" is named twice", *name));
    }
    mix.total_ += weight;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  // Each turn every kind gains its share, and the one that has most is asked and pays one: no kind ever comes in a burst.
  std::map<Kind, double> credit;
  for (std::size_t i = 0; i < cycle; ++i) {
    Kind richest = mix.weights_.begin()->first;
    for (const auto& [kind, weight] : mix.weights_) {
      credit[kind] += weight / mix.total_;
      if (credit[kind] > credit[richest]) richest = kind;
    }
    credit[richest] -= 1;
    mix.order_.push_back(richest);
  }
  return mix;
}

double Mix::share(Kind kind) const {
  const auto found = weights_.find(kind);
  return found == weights_.end() ? 0 : found->second / total_;
}

std::string Mix::text() const {
  std::string out;
  for (const auto& [kind, weight] : weights_) out += fmt::format("{}{}={:g}", out.empty() ? "" : ",", name_of(kind), weight);
  return out;
}

}  // namespace watchword::load
