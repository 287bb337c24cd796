// A run from its first to its last request: starts the threads, looks at what they count once a second, and adds it up.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "bench/load/ledger.h"
#include "bench/load/options.h"
#include "bench/load/recorder.h"
#include "bench/load/requests.h"
#include "bench/load/users.h"

namespace watchword::load {

// What one second saw. Latencies are response times in nanoseconds.
struct Sample {
  double at_s = 0;  // its end, after the begin of the measured time; below zero: warm-up
  double seconds = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::int64_t p50_ns = 0, p99_ns = 0, p999_ns = 0, max_ns = 0;
};

struct Finished {
  std::unique_ptr<Recorder> total;
  std::vector<Sample> samples;
  double measured_s = 0;  // to the end of the run, or to the last answer to what was due in it
};

// Called from the thread that called run(), about once a second. `so_far` is of all threads.
using Watcher = std::function<void(const Sample& sample, const Recorder& so_far)>;

// `phones` are left with the steps that were used up. Ends early when `interrupted` is set. Throws std::runtime_error where
// no connection could be opened.
Finished run(const Options& options, const Target& target, SSL_CTX* tls, const ServerPolicy& policy,
             std::vector<User>& phones, Ledger& ledger, const std::string& run_name, const Watcher& watcher,
             const std::atomic<bool>& interrupted);

// What is verified or registered by what was counted: batches count by item.
std::uint64_t verdicts(const Recorder& recorder);

}  // namespace watchword::load
