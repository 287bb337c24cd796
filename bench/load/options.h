// What a run is told to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bench/load/mix.h"
#include "bench/load/schedule.h"
#include "bench/load/transport.h"
#include "engine/types.h"

namespace watchword::load {

struct Options {
  std::string url;
  std::string key;
  TlsTrust trust;
  Mix mix;

  std::optional<Rate> rate;  // none: a closed loop
  Arrivals arrivals = Arrivals::even;
  double duration_s = 10;
  double warmup_s = 2;
  double timeout_s = 10;
  unsigned threads = 1;
  unsigned connections = 64;  // of all threads together
  unsigned pipeline = 1;      // requests in flight on one connection
  std::uint64_t churn = 0;    // requests after which a connection is closed and another one opened; 0: never
  bool bunches = false;       // a closed loop asks when all answers that are there have been read, as wrk does
  unsigned tick_us = 0;       // an open loop sleeps so long at least before it looks at its connections and at what is due
  unsigned batch_size = 100;

  std::size_t users = 10000;
  std::string users_file;  // people that the server knows already
  std::string users_out;
  bool fresh = false;  // nobody in users_file has ever given a code
  engine::OtpParameters parameters;
  bool remove_users = false;
  bool constant = false;  // the target is no Watchword and answers the same to everything
  bool allow_errors = false;

  std::string json_file;
  std::string html_file;
  std::string title;
  bool plain = false;  // lines, on a terminal too
};

}  // namespace watchword::load
