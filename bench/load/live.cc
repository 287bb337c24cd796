#include "bench/load/live.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "bench/load/result.h"

namespace watchword::load {
namespace {

constexpr std::array<std::string_view, 8> blocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::size_t lines_in_all_max = 60;  // of plain lines in a long run

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bar(double share, std::size_t width) {
  const auto full = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += i < full ? "█" : "░";
  return out;
}

// No line longer than the terminal is wide: it would break the screen. Counts characters, not bytes.
std::string clipped(const std::string& text, std::size_t columns) {
  std::string out;
  std::size_t column = 0;
  for (const char c : text) {
    const bool continues = (static_cast<unsigned char>(c) & 0xc0) == 0x80;
    if (c == '\n') {
      column = 0;
    } else if (!continues) {
      ++column;
    }
    if (column <= columns) out += c;
  }
  return out;
}

std::string ns_text(std::int64_t ns) {
  return duration_text(static_cast<double>(ns) / 1000);
}

std::string percentiles(const Histogram& histogram) {
  std::string out;
  for (const double share : {0.5, 0.9, 0.99, 0.999, 1.0}) out += fmt::format(" {:>9}", ns_text(histogram.percentile(share)));
  return out;
}

std::string rate_text(const std::optional<Rate>& rate) {
  if (!rate) return {};
  if (rate->begin == rate->end) return fmt::format(" at {:g} a second", rate->end);
  return fmt::format(" at {:g} to {:g} a second", rate->begin, rate->end);
}

}  // namespace

bool Live::on_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

Live::Live(const Options& options, const Ledger& ledger)
    : options_(&options), ledger_(&ledger), terminal_(on_terminal() && !options.plain) {}

Live::~Live() {
  if (drawn_) fmt::print(stderr, "\x1b[?25h\x1b[?1049l");
}

std::string Live::screen(const Sample& sample, const Recorder& so_far, std::size_t columns) const {
  const double whole_s = options_->duration_s;
  const bool warming = sample.at_s < 0;
  const Histogram responses = so_far.responses();
  const double average = sample.at_s > 0 ? static_cast<double>(responses.count()) / std::min(sample.at_s, whole_s) : 0;
  const std::size_t width = std::clamp<std::size_t>(columns, 60, 160);
  std::string out = fmt::format("watchword-load  {}\n{} loop{}, {} connections, {} thread{}, {}\n\n", options_->url,
                                options_->rate ? "open" : "closed", rate_text(options_->rate), options_->connections,
                                options_->threads, options_->threads == 1 ? "" : "s", options_->mix.text());
  out += fmt::format("{} {:>5.0f} of {:.0f} s{}\n\n", bar(sample.at_s / whole_s, width - 24),
                     std::max(0.0, std::min(sample.at_s, whole_s)), whole_s, warming ? " (warm-up)" : "");
  out += fmt::format("rate      {:>12} a second now   {:>12} on average\n",
                     count_text(static_cast<double>(sample.requests) / sample.seconds), count_text(average));
  out += fmt::format("errors    {:>12} now            {:>12} wrong answers in all\n\n",
                     count_text(static_cast<double>(sample.errors)), count_text(static_cast<double>(ledger_->failures())));
  out += fmt::format("{:<12} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "latency", "p50", "p90", "p99", "p99.9", "max");
  out += fmt::format("{:<12} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "last second", ns_text(sample.p50_ns), "",
                     ns_text(sample.p99_ns), ns_text(sample.p999_ns), ns_text(sample.max_ns));
  out += fmt::format("{:<12}{}\n{:<12}{}\n{:<12}{}\n\n", "response", percentiles(responses), "service",
                     percentiles(so_far.services()), "own lag", percentiles(so_far.lag));
  for (std::size_t k = 0; k < kinds; ++k) {
    const KindRecord& record = so_far.of[k];
    if (record.response.count() == 0) continue;
    std::string results;
    for (std::size_t i = 0; i < outcomes; ++i) {
      if (const std::uint64_t count = record.results[i].load(std::memory_order_relaxed)) {
        results += fmt::format(" {} {}", name_of(static_cast<Outcome>(i)), count_text(static_cast<double>(count)));
      }
    }
    out += fmt::format("{:<12} {:>9} p50 {:>9} p99 {:<12}{}\n", name_of(static_cast<Kind>(k)),
                       ns_text(record.response.percentile(0.5)), ns_text(record.response.percentile(0.99)),
                       count_text(static_cast<double>(record.response.count())), results);
  }
  out += "\nrate, second by second\n";
  const double most = rates_.empty() ? 1 : std::max(1.0, *std::max_element(rates_.begin(), rates_.end()));
  const std::size_t shown = std::min(rates_.size(), width);
  for (std::size_t i = rates_.size() - shown; i < rates_.size(); ++i) {
    out += blocks[static_cast<std::size_t>(std::clamp(rates_[i] / most * 7.99, 0.0, 7.99))];
  }
  return out + "\n";
}

void Live::show(const Sample& sample, const Recorder& so_far) {
  if (sample.at_s > 0) rates_.push_back(static_cast<double>(sample.requests) / sample.seconds);
  if (terminal_) {
    if (!drawn_) fmt::print(stderr, "\x1b[?1049h\x1b[?25l");
    drawn_ = true;
    const std::size_t columns = terminal_columns();
    std::string text = clipped(screen(sample, so_far, columns), columns);
    // Each line overwrites what stood there, so that nothing flickers.
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 4) text.replace(at, 1, "\x1b[K\n");
    fmt::print(stderr, "\x1b[H{}\x1b[J", text);
    std::fflush(stderr);
    return;
  }
  if (sample.at_s < line_due_s_) return;
  line_due_s_ = sample.at_s + options_->duration_s / static_cast<double>(lines_in_all_max);
  fmt::print(stderr, "{:6.1f} s  {:>9}/s  p50 {:>9}  p99 {:>9}  p99.9 {:>9}  max {:>9}  errors {}\n", sample.at_s,
             count_text(static_cast<double>(sample.requests) / sample.seconds), ns_text(sample.p50_ns),
             ns_text(sample.p99_ns), ns_text(sample.p999_ns), ns_text(sample.max_ns), sample.errors);
}

Progress::Progress(std::string what, std::size_t whole, bool plain)
    : what_(std::move(what)), whole_(std::max<std::size_t>(1, whole)), terminal_(Live::on_terminal() && !plain) {}

void Progress::show(std::size_t done) {
  const double share = static_cast<double>(done) / static_cast<double>(whole_);
  if (terminal_) {
    fmt::print(stderr, "\r{} {} {} of {}\x1b[K", what_, bar(share, 30), count_text(static_cast<double>(done)),
               count_text(static_cast<double>(whole_)));
    std::fflush(stderr);
    return;
  }
  const auto tenths = static_cast<std::size_t>(share * 10);
  if (tenths == told_tenths_) return;
  told_tenths_ = tenths;
  fmt::print(stderr, "{}: {} of {}\n", what_, done, whole_);
}

void Progress::end() {
  if (terminal_) fmt::print(stderr, "\r\x1b[K");
}

}  // namespace watchword::load
