// A run's result: as a JSON document, which reports and comparisons are made from, and as text.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "bench/load/ledger.h"
#include "bench/load/options.h"
#include "bench/load/run.h"

namespace watchword::load {

// Latencies in it are microseconds, times RFC 3339 in UTC. Holds no key, secret or code.
boost::json::object result_of(const Options& options, const ServerPolicy& policy, const Finished& finished,
                              const Ledger& ledger, const std::vector<std::string>& complaints,
                              const std::string& server_version, engine::UnixMillis begun);

// What makes the run a failed one beside the wrong answers that the ledger holds; one sentence each, with what to do.
std::vector<std::string> complaints_of(const Options& options, const ServerPolicy& policy, const Finished& finished,
                                       const Ledger& ledger);

std::string text_of(const boost::json::object& result);

// "1.23 ms", with three digits that count.
std::string duration_text(double microseconds);
// "31,204".
std::string count_text(double value);

}  // namespace watchword::load
