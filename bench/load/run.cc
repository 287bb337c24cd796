#include "bench/load/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "bench/load/worker.h"

namespace watchword::load {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
// From the last connection to the first request: all threads are at the starting line.
constexpr std::int64_t start_after_ns = 20'000'000;

std::uint64_t errors_of(const Recorder& recorder) {
  std::uint64_t errors = 0;
  for (std::size_t i = 0; i < outcomes; ++i) {
    if (is_error(static_cast<Outcome>(i))) errors += recorder.results(static_cast<Outcome>(i));
  }
  return errors;
}

struct Line {
  Recorder recorder;
  std::unique_ptr<Worker> worker;
  bool connected = false;
};

std::unique_ptr<Recorder> sum_of(const std::vector<std::unique_ptr<Line>>& lines) {
  auto total = std::make_unique<Recorder>();
  for (const auto& line : lines) total->add(line->recorder);
  return total;
}

}  // namespace

std::uint64_t verdicts(const Recorder& recorder) {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < outcomes; ++i) {
    if (!is_error(static_cast<Outcome>(i))) all += recorder.results(static_cast<Outcome>(i));
  }
  return all;
}

Finished run(const Options& options, const Target& target, SSL_CTX* tls, const ServerPolicy& policy,
             std::vector<User>& phones, Ledger& ledger, const std::string& run_name, const Watcher& watcher,
             const std::atomic<bool>& interrupted) {
  const People people(options, phones.size());
  const double whole_s = options.warmup_s + options.duration_s;
  // A few seconds more than it needs: connecting, what is sent late, and the last answers.
  const CodeBook book(phones, engine::wall_now(), static_cast<std::int64_t>(whole_s + options.timeout_s) + 30,
                      policy.window_steps);

  std::vector<std::unique_ptr<Line>> lines;
  for (unsigned thread = 0; thread < options.threads; ++thread) {
    lines.push_back(std::make_unique<Line>());
    Requests requests(options, target, policy, book, phones, people, ledger, run_name, thread);
    lines.back()->worker =
        std::make_unique<Worker>(options, target, tls, std::move(requests), ledger, lines.back()->recorder, thread);
  }

  Timeline timeline;
  std::latch connected(static_cast<std::ptrdiff_t>(options.threads)), started(1),
      ended(static_cast<std::ptrdiff_t>(options.threads));
  std::mutex mutex;
  std::exception_ptr fault;
  std::vector<std::jthread> threads;
  for (const auto& line : lines) {
    threads.emplace_back([&, own = line.get()] {
      const auto guarded = [&](auto part) {
        try {
          part();
        } catch (...) {
          ledger.stop("a thread failed");
          const std::lock_guard lock(mutex);
          if (!fault) fault = std::current_exception();
        }
      };
      guarded([&] { own->connected = own->worker->connect(); });
      connected.count_down();
      started.wait();
      guarded([&] { own->worker->run(timeline); });
      ended.count_down();
    });
  }
  connected.wait();
  if (std::none_of(lines.begin(), lines.end(), [](const auto& line) { return line->connected; })) {
    ledger.stop(fmt::format("no connection to {}:{} could be opened", target.host, target.port));
  }
  timeline.begin_ns = steady_ns() + start_after_ns;
  timeline.measure_ns = timeline.begin_ns + static_cast<std::int64_t>(options.warmup_s * 1e9);
  timeline.end_ns = timeline.begin_ns + static_cast<std::int64_t>(whole_s * 1e9);
  timeline.wall_ms_at_begin = engine::wall_now().value + start_after_ns / 1'000'000;
  started.count_down();

  Finished finished;
  auto before = std::make_unique<Histogram>();
  std::uint64_t errors_before = 0;
  std::int64_t last_ns = timeline.begin_ns, next_ns = timeline.begin_ns;
  while (!ended.try_wait()) {
    next_ns += second_ns;
    // Whole seconds of the measured time, whatever the warm-up's length.
    if (last_ns < timeline.measure_ns) next_ns = std::min(next_ns, std::max(timeline.measure_ns, last_ns + 1));
    while (!ended.try_wait() && steady_ns() < next_ns) {
      if (interrupted) ledger.stop("interrupted");
      std::this_thread::sleep_for(std::chrono::nanoseconds(std::clamp<std::int64_t>(next_ns - steady_ns(), 0, 20'000'000)));
    }
    const std::unique_ptr<Recorder> so_far = sum_of(lines);
    const std::int64_t now_ns = steady_ns();
    const Histogram responses = so_far->responses();
    const Histogram fresh = responses.since(*before);
    const std::uint64_t errors = errors_of(*so_far);
    Sample sample{.at_s = static_cast<double>(now_ns - timeline.measure_ns) / 1e9,
                  .seconds = static_cast<double>(now_ns - last_ns) / 1e9,
                  .requests = fresh.count(),
                  .errors = errors - errors_before,
                  .p50_ns = fresh.percentile(0.5),
                  .p99_ns = fresh.percentile(0.99),
                  .p999_ns = fresh.percentile(0.999),
                  .max_ns = fresh.max()};
    // What began in the warm-up belongs to it, whatever moment this thread was woken at.
    if (last_ns < timeline.measure_ns) sample.at_s = std::min(sample.at_s, -1e-9);
    errors_before = errors;
    before = std::make_unique<Histogram>(responses);
    last_ns = now_ns;
    if (sample.seconds < 0.2) continue;  // the rest of a second after the end
    if (sample.at_s > 0) finished.samples.push_back(sample);
    watcher(sample, *so_far);
  }
  threads.clear();
  if (fault) std::rethrow_exception(fault);
  finished.total = sum_of(lines);
  const std::int64_t stopped_ns = std::min(steady_ns(), timeline.end_ns);
  finished.measured_s =
      static_cast<double>(std::max(stopped_ns, finished.total->last_answer_ns.load()) - timeline.measure_ns) / 1e9;
  return finished;
}

}  // namespace watchword::load
