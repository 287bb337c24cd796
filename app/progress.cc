#include "app/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace watchword::app {

Progress::Progress(std::uint64_t bytes_total, bool quiet)
    : shown_(!quiet && isatty(STDERR_FILENO) != 0), bytes_total_(bytes_total) {}

void Progress::show(std::uint64_t rows, std::uint64_t bytes) {
  const auto now = std::chrono::steady_clock::now();
  if (!shown_ || now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  if (bytes_total_ == 0) {
    std::fprintf(stderr, "\r%llu rows", static_cast<unsigned long long>(rows));
  } else {
    const auto percent = static_cast<unsigned>(std::min<std::uint64_t>(100, bytes * 100 / bytes_total_));
    const std::string bar(percent / 5, '#');
    std::fprintf(stderr, "\r[%-20s] %3u %%  %llu rows", bar.c_str(), percent, static_cast<unsigned long long>(rows));
  }
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) std::fprintf(stderr, "\r\x1b[K");
  drawn_ = false;
}

}  // namespace watchword::app
