// A line on the terminal that is written over; nothing where stderr is a file.
#pragma once

#include <chrono>
#include <cstdint>

namespace watchword::app {

class Progress {
 public:
  // `bytes_total` 0: unknown, so rows alone are counted. `quiet`: somebody else writes to the terminal.
  explicit Progress(std::uint64_t bytes_total, bool quiet = false);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t rows, std::uint64_t bytes);
  // Makes room for a line of words.
  void clear();

 private:
  const bool shown_;
  bool drawn_ = false;
  const std::uint64_t bytes_total_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace watchword::app
