#include "bench/load/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace watchword::load {
namespace {

constexpr double width = 860, height = 300, left = 74, right = 16, top = 34, bottom = 46;
// Told apart without their hue as well: by lightness.
constexpr std::array<std::string_view, 6> colours = {"#1b6ca8", "#d1495b", "#e9a23b", "#2e8b57", "#6a4c93", "#555555"};

}  // namespace

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<Tick> linear_ticks(double least, double most, const std::function<std::string(double)>& label) {
  const double rough = std::max(most - least, 1e-9) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = power * 10;
  for (const double times : {1.0, 2.0, 5.0}) {
    if (power * times >= rough) {
      step = power * times;
      break;
    }
  }
  std::vector<Tick> ticks;
  for (double at = std::ceil(least / step) * step; at <= most + step * 1e-6; at += step) ticks.push_back({at, label(at)});
  return ticks;
}

std::vector<Tick> logarithmic_ticks(double least, double most, const std::function<std::string(double)>& label) {
  std::vector<Tick> ticks;
  const bool few = most / least < 1000;
  for (double power = std::pow(10, std::floor(std::log10(least))); power <= most; power *= 10) {
    for (const double times : {1.0, 2.0, 5.0}) {
      const double at = power * times;
      if (at >= least * 0.999 && at <= most * 1.001 && (times == 1.0 || few)) ticks.push_back({at, label(at)});
    }
  }
  return ticks;
}

std::string svg_of(const Plot& plot) {
  const auto x_at = [&](double x) {
    return left + (x - plot.x_least) / (plot.x_most - plot.x_least) * (width - left - right);
  };
  const auto y_at = [&](double y) {
    double share = (y - plot.y_least) / (plot.y_most - plot.y_least);
    if (plot.y_logarithmic)
      share = std::log(std::max(y, plot.y_least) / plot.y_least) / std::log(plot.y_most / plot.y_least);
    return height - bottom - std::clamp(share, -0.02, 1.02) * (height - top - bottom);
  };
  std::string out =
      fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">\n", width, height, html_text(plot.title));
  for (const Tick& tick : plot.y_ticks) {
    const double y = y_at(tick.at);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{:g}\" x2=\"{:g}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"{:g}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        left, width - right, y, y, left - 6, y + 4, html_text(tick.label));
  }
  for (const Tick& tick : plot.x_ticks) {
    const double x = x_at(tick.at);
    out += fmt::format(
        "<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:g}\" y2=\"{:g}\"/><text x=\"{:.1f}\" y=\"{:g}\" "
        "text-anchor=\"middle\">{}</text>\n",
        x, x, top, height - bottom, x, height - bottom + 16, html_text(tick.label));
  }
  out += fmt::format("<text x=\"{:g}\" y=\"{:g}\" text-anchor=\"middle\">{}</text><text x=\"4\" y=\"14\">{}</text>\n",
                     (left + width - right) / 2, height - 8, html_text(plot.x_title), html_text(plot.y_title));
  double key_x = width - right;
  for (std::size_t i = plot.curves.size(); i-- > 0;) {
    const Curve& curve = plot.curves[i];
    const std::string_view colour = colours[i % colours.size()];
    std::string points;
    for (const auto& [x, y] : curve.points) points += fmt::format("{:.1f},{:.1f} ", x_at(x), y_at(y));
    if (curve.points.size() == 1) {
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x_at(curve.points[0].first),
                         y_at(curve.points[0].second), colour);
    } else {
      out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>\n", colour, points);
    }
    out += fmt::format("<text x=\"{:g}\" y=\"14\" text-anchor=\"end\" style=\"fill:{}\">― {}</text>\n", key_x, colour,
                       html_text(curve.name));
    key_x -= 30 + 7.2 * static_cast<double>(curve.name.size());
  }
  return out + "</svg>\n";
}

}  // namespace watchword::load
