#include "bench/load/result.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/utsname.h>

#include <cmath>
#include <fstream>
#include <thread>

namespace watchword::load {
namespace {

namespace json = boost::json;

double us(double ns) {
  return std::round(ns) / 1000;
}

json::object latency(const Histogram& histogram) {
  json::object out{{"count", histogram.count()}, {"mean", us(histogram.mean())}};
  for (const auto& [name, share] : {std::pair{"p50", 0.5}, std::pair{"p90", 0.9}, std::pair{"p99", 0.99},
                                    std::pair{"p99_9", 0.999}, std::pair{"p99_99", 0.9999}}) {
    out[name] = us(static_cast<double>(histogram.percentile(share)));
  }
  out["max"] = us(static_cast<double>(histogram.max()));
  return out;
}

json::array spectrum(const Histogram& histogram) {
  json::array points;
  for (const Histogram::Point& point : histogram.spectrum()) {
    points.push_back(json::array{point.share, us(static_cast<double>(point.value_ns))});
  }
  return points;
}

json::object machine() {
  utsname system{};
  uname(&system);
  std::string processor = system.machine;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    processor = line.substr(line.find(':') + 2);
    break;
  }
  return {{"processor", processor},
          {"cores", std::thread::hardware_concurrency()},
          {"system", fmt::format("{} {}", system.sysname, system.release)}};
}

json::object settings(const Options& options) {
  json::object out{{"url", options.url},
                   {"mix", options.mix.text()},
                   {"loop", options.rate ? "open" : "closed"},
                   {"duration_s", options.duration_s},
                   {"warmup_s", options.warmup_s},
                   {"threads", options.threads},
                   {"connections", options.connections},
                   {"pipeline", options.pipeline},
                   {"churn", options.churn},
                   {"bunches", options.bunches},
                   {"users", options.users}};
  if (options.rate) {
    out["rate_begin"] = options.rate->begin;
    out["rate_end"] = options.rate->end;
    out["tick_us"] = options.tick_us;
    out["arrivals"] = options.arrivals == Arrivals::even ? "even" : "poisson";
  }
  if (options.mix.has(Kind::batch)) out["batch_size"] = options.batch_size;
  return out;
}

json::object of_kind(const KindRecord& record, double seconds) {
  json::object results;
  for (std::size_t i = 0; i < outcomes; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    if (const std::uint64_t count = record.result(outcome)) results[name_of(outcome)] = count;
  }
  const std::uint64_t requests = record.response.count();
  return {{"requests", requests},
          {"rate", static_cast<double>(requests) / seconds},
          {"results", std::move(results)},
          {"skipped", record.skipped.load()},
          {"response_us", latency(record.response)},
          {"service_us", latency(record.service)}};
}

}  // namespace

std::vector<std::string> complaints_of(const Options& options, const ServerPolicy& policy, const Finished& finished,
                                       const Ledger& ledger) {
  std::vector<std::string> out;
  const Recorder& total = *finished.total;
  if (ledger.stopped()) out.push_back(ledger.stop_reason());
  if (ledger.failures() > 0) out.push_back(fmt::format("{} answers were wrong", ledger.failures()));
  if (total.responses().count() == 0) out.emplace_back("no request was answered");
  const std::uint64_t lost = total.results(Outcome::broken) + total.results(Outcome::timed_out);
  if (lost > 0 && !options.allow_errors) {
    out.push_back(fmt::format("{} requests had no answer ({} connections ended, {} in time); --allow-errors lets that pass",
                              lost, total.results(Outcome::broken), total.results(Outcome::timed_out)));
  }
  if (options.mix.has(Kind::attack_one)) {
    const std::uint64_t allowed = guesses_allowed(policy.lockout, options.warmup_s + finished.measured_s + 1);
    if (ledger.guesses() > allowed) {
      out.push_back(fmt::format("{} guesses at one person were looked at; policy lets {} through in that time",
                                ledger.guesses(), allowed));
    }
  }
  return out;
}

json::object result_of(const Options& options, const ServerPolicy& policy, const Finished& finished, const Ledger& ledger,
                       const std::vector<std::string>& complaints, const std::string& server_version,
                       engine::UnixMillis begun) {
  const Recorder& total = *finished.total;
  const Histogram responses = total.responses(), services = total.services();
  const double seconds = std::max(finished.measured_s, 1e-9);
  const auto requests = static_cast<double>(responses.count());
  const double cpu_s = static_cast<double>(total.cpu_ns.load()) / 1e9;

  json::object by_kind;
  std::uint64_t errors = 0, skipped = 0;
  for (std::size_t k = 0; k < kinds; ++k) {
    const KindRecord& record = total.of[k];
    for (std::size_t i = 0; i < outcomes; ++i) errors += is_error(static_cast<Outcome>(i)) ? record.results[i].load() : 0;
    skipped += record.skipped.load();
    bool seen = record.response.count() > 0 || record.skipped > 0;
    for (const auto& count : record.results) seen = seen || count > 0;
    if (seen) by_kind[name_of(static_cast<Kind>(k))] = of_kind(record, seconds);
  }
  json::array series;
  for (const Sample& sample : finished.samples) {
    series.push_back(json::object{{"at_s", std::round(sample.at_s * 1000) / 1000},
                                  {"rate", std::round(static_cast<double>(sample.requests) / sample.seconds)},
                                  {"errors", sample.errors},
                                  {"p50", us(static_cast<double>(sample.p50_ns))},
                                  {"p99", us(static_cast<double>(sample.p99_ns))},
                                  {"p99_9", us(static_cast<double>(sample.p999_ns))},
                                  {"max", us(static_cast<double>(sample.max_ns))}});
  }
  json::array told, complained;
  for (const std::string& text : ledger.told()) told.emplace_back(text);
  for (const std::string& text : complaints) complained.emplace_back(text);
  const bool own_lag = total.lag.percentile(0.99) > std::max<std::int64_t>(1'000'000, responses.percentile(0.99) / 2);

  return {{"format", 1},
          {"title", options.title.empty() ? options.mix.text() : options.title},
          {"begun_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(begun.seconds())))},
          {"passed", complaints.empty()},
          {"complaints", std::move(complained)},
          {"wrong_answers", ledger.failures()},
          {"wrong_answers_told", std::move(told)},
          {"settings", settings(options)},
          {"machine", machine()},
          {"versions", json::object{{"watchword-load", WATCHWORD_VERSION},
                                    {"server", server_version},
                                    {"openssl", OpenSSL_version(OPENSSL_VERSION)}}},
          {"window_steps", policy.window_steps},
          {"measured_s", seconds},
          {"requests", responses.count()},
          {"rate", requests / seconds},
          {"verdicts", verdicts(total)},
          {"verdict_rate", static_cast<double>(verdicts(total)) / seconds},
          {"errors", errors},
          {"skipped", skipped},
          {"unsent", total.unsent.load()},
          {"connections_opened", total.connections_opened.load()},
          {"connections_failed", total.connections_failed.load()},
          {"response_us", latency(responses)},
          {"service_us", latency(services)},
          {"own_lag_us", latency(total.lag)},
          {"connect_us", latency(total.connect)},
          {"own_lag_matters", own_lag},
          {"own_cpu_s", cpu_s},
          {"own_cpu_us_a_request", requests > 0 ? cpu_s * 1e6 / requests : 0},
          {"kinds", std::move(by_kind)},
          {"series", std::move(series)},
          {"response_spectrum", spectrum(responses)},
          {"service_spectrum", spectrum(services)}};
}

}  // namespace watchword::load
