// What is shown while a run goes on: one screen on a terminal, one line a second elsewhere. All on stderr; the result alone
// is on stdout.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "bench/load/ledger.h"
#include "bench/load/options.h"
#include "bench/load/run.h"

namespace watchword::load {

class Live {
 public:
  Live(const Options& options, const Ledger& ledger);
  // Leaves the screen as it was before.
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  void show(const Sample& sample, const Recorder& so_far);
  // The screen's text, without what moves the cursor.
  std::string screen(const Sample& sample, const Recorder& so_far, std::size_t columns) const;

  static bool on_terminal();

 private:
  const Options* options_;
  const Ledger* ledger_;
  bool terminal_;
  bool drawn_ = false;
  double line_due_s_ = 0;
  std::vector<double> rates_;
};

// A line that tells how far something has come, rewritten in place on a terminal; told in tenths elsewhere.
class Progress {
 public:
  Progress(std::string what, std::size_t whole, bool plain);
  void show(std::size_t done);
  void end();

 private:
  std::string what_;
  std::size_t whole_;
  bool terminal_;
  std::size_t told_tenths_ = 0;
};

}  // namespace watchword::load
