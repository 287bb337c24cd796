// Line plots as SVG elements that need nothing else.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace watchword::load {

struct Tick {
  double at;
  std::string label;
};
std::vector<Tick> linear_ticks(double least, double most, const std::function<std::string(double)>& label);
// Powers of ten; with few of them also 2 and 5 times each.
std::vector<Tick> logarithmic_ticks(double least, double most, const std::function<std::string(double)>& label);

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Plot {
  std::string title;  // also what a screen reader is told
  std::string x_title, y_title;
  std::vector<Curve> curves;
  std::vector<Tick> x_ticks, y_ticks;
  double x_least = 0, x_most = 1, y_least = 0, y_most = 1;
  bool y_logarithmic = false;
};
std::string svg_of(const Plot& plot);

std::string html_text(std::string_view text);

}  // namespace watchword::load
