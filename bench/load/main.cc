// watchword-load: the command line, and a run from its users to its exit code.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>

#include "bench/load/api_client.h"
#include "bench/load/compare.h"
#include "bench/load/html_report.h"
#include "bench/load/live.h"
#include "bench/load/provision.h"
#include "bench/load/result.h"
#include "bench/load/run.h"

namespace {

using namespace watchword;
using namespace watchword::load;

constexpr int failed = 1;
constexpr int wrong_usage = 2;

std::atomic<bool> interrupted{false};

struct Usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Arguments {
  Options options;
  std::string mix = "accept=80,wrong=15,replay=5";
  std::string rate;
  std::string key_file;
  std::string algorithm = "SHA1";
  unsigned digits = 6;
  unsigned period_s = 30;
  bool poisson = false;
  std::string result_a, result_b, report_of, report_to;
  double threshold = 0.1;
  double noise_us = 200;
};

void take_run_options(CLI::App& program, Arguments& arguments) {
  Options& options = arguments.options;
  program.add_option("url", options.url, "http://HOST:PORT or https://HOST:PORT");
  program.add_option("--key-file", arguments.key_file, "File with the API key; otherwise WATCHWORD_API_KEY");
  program
      .add_option("--mix", arguments.mix,
                  "Kinds with weights: accept, wrong, replay, batch, register, cold, hot, attack-one, attack-many, unknown")
      ->capture_default_str();
  CLI::Option_group* const load = program.add_option_group("Load");
  load->add_option("--rate", arguments.rate,
                   "Open loop: requests a second, or BEGIN:END for a ramp; without it a closed loop");
  load->add_flag("--poisson", arguments.poisson, "Arrivals of an open loop at random instead of even");
  load->add_option("--duration", options.duration_s, "Seconds that are measured")
      ->check(CLI::Range(0.5, 86400.0))
      ->capture_default_str();
  load->add_option("--warmup", options.warmup_s, "Seconds before that")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  load->add_option("--connections", options.connections)->check(CLI::Range(1u, 100000u))->capture_default_str();
  load->add_option("--threads", options.threads)->check(CLI::Range(1u, 256u))->capture_default_str();
  load->add_option("--pipeline", options.pipeline, "Requests in flight on one connection")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  load->add_option("--churn", options.churn, "Requests after which a connection is replaced; 0: never")
      ->capture_default_str();
  load->add_flag(
      "--bunches", options.bunches,
      "A closed loop reads all answers that are there before it asks again, as wrk does; otherwise it asks at once");
  load->add_option("--tick", options.tick_us,
                   "Microseconds: an open loop looks at what is due, and at its connections, no more often; 0: at once")
      ->check(CLI::Range(0u, 10000u))
      ->capture_default_str();
  load->add_option("--batch-size", options.batch_size)->check(CLI::Range(1u, 1000u))->capture_default_str();
  load->add_option("--timeout", options.timeout_s, "Seconds until an answer is given up")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  CLI::Option_group* const tls = program.add_option_group("TLS");
  tls->add_option("--ca", options.trust.ca_file, "Whose certificate the server must have (PEM); otherwise the system's");
  tls->add_flag("--insecure", options.trust.unchecked, "Take any certificate");
  CLI::Option_group* const users = program.add_option_group("Users");
  users->add_option("--users", options.users, "So many are registered through the API first")
      ->check(CLI::Range(1u, 20000000u))
      ->capture_default_str();
  users->add_option("--users-file", options.users_file, "CSV of users that the server has: user and secret, as for import");
  users->add_flag("--fresh", options.fresh, "Nobody in that file has ever given a code: two steps can be used at once");
  users->add_option("--users-out", options.users_out, "CSV for the next run's --users-file; holds secrets");
  users->add_option("--algorithm", arguments.algorithm, "Of users that are registered")
      ->check(CLI::IsMember({"SHA1", "SHA256", "SHA512"}));
  users->add_option("--digits", arguments.digits)->check(CLI::Range(6u, 8u));
  users->add_option("--period", arguments.period_s)->check(CLI::Range(15u, 300u));
  users->add_flag("--remove-users", options.remove_users, "Remove all that this run registered, at its end");
  users->add_flag("--constant", options.constant,
                  "The target is no Watchword and answers the same to everything: measure, check nothing");
  CLI::Option_group* const result = program.add_option_group("Result");
  result->add_option("--json", options.json_file, "Write the result there");
  result->add_option("--html", options.html_file, "Write a report with plots there");
  result->add_option("--title", options.title, "Of the report");
  result->add_flag("--plain", options.plain, "Lines instead of a screen, on a terminal too");
  result->add_flag("--allow-errors", options.allow_errors, "Requests without an answer do not fail the run");
}

void settle(Arguments& arguments) {
  Options& options = arguments.options;
  if (options.url.empty()) throw Usage("give the server's address: watchword-load http://127.0.0.1:8080");
  auto mix = Mix::parse(arguments.mix);
  if (!mix) throw Usage("--mix: " + mix.error());
  options.mix = *mix;
  if (!arguments.rate.empty()) {
    options.rate = Rate::parse(arguments.rate);
    if (!options.rate) throw Usage("--rate is a number above 0, or two of them: 20000 or 1000:50000");
  }
  options.arrivals = arguments.poisson ? Arrivals::poisson : Arrivals::even;
  options.parameters.digits = static_cast<std::uint8_t>(arguments.digits);
  options.parameters.period_s = static_cast<std::uint16_t>(arguments.period_s);
  options.parameters.algorithm = *engine::parse_algorithm(arguments.algorithm);
  options.threads = std::min(options.threads, options.connections);
  if (!arguments.key_file.empty()) {
    std::ifstream in(arguments.key_file);
    if (!(in >> options.key)) throw Usage(fmt::format("{} holds no key", arguments.key_file));
  } else if (const char* const key = std::getenv("WATCHWORD_API_KEY")) {
    options.key = key;
  } else if (!options.constant) {
    throw Usage(
        "give an API key: in WATCHWORD_API_KEY, or in a file with --key-file; it needs the scopes verify and enroll");
  }
}

// Each connection is an open file.
void raise_file_limit(unsigned connections) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = connections + 1000;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted)
    throw Usage(fmt::format("{} connections need more open files than ulimit -n allows", connections));
}

std::vector<User> people_of(Options& options, const Target& target, SSL_CTX* tls, const std::string& run) {
  if (options.constant) return invented_users(options.users);
  if (!options.users_file.empty()) return read_users(options.users_file);
  // Who was registered a moment ago has given no code but the one that confirmed it.
  options.fresh = true;
  std::atomic<std::size_t> done{0};
  Progress progress("Registering users", options.users, options.plain);
  auto made = std::async(std::launch::async, [&] { return provision(options, target, tls, run, done); });
  while (made.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) progress.show(done);
  progress.end();
  return made.get();
}

void write_file(const std::string& name, const std::string& text) {
  std::ofstream out(name);
  out << text;
  if (!out.flush()) throw std::runtime_error(fmt::format("{} cannot be written", name));
}

int measure(Arguments& arguments) {
  settle(arguments);
  Options& options = arguments.options;
  raise_file_limit(options.connections);
  const Target target = resolve(options.url);
  TlsContext tls(nullptr, SSL_CTX_free);
  if (target.tls) tls = make_tls_context(options.trust);
  ServerPolicy policy;
  std::string server_version;
  if (!options.constant) {
    policy = read_policy(options, target, tls.get());
    const Reply health = ApiClient(target, tls.get(), options.key).call("GET", "/healthz");
    std::size_t at = 0;
    server_version = std::string(text_field(health.body, "\"version\"", at));
  }
  const std::string run_name = fmt::format("{:08x}", static_cast<std::uint32_t>(engine::random_nonzero_u64()));
  std::vector<User> phones = people_of(options, target, tls.get(), run_name);
  options.users = phones.size();
  const engine::UnixMillis begun = engine::wall_now();
  std::uint16_t period_s = phones.front().parameters.period_s;
  Ledger ledger(engine::step_at(begun, period_s),
                static_cast<std::size_t>((options.duration_s + options.warmup_s) / period_s) + 100);
  Finished finished;
  {
    Live live(options, ledger);
    finished = run(
        options, target, tls.get(), policy, phones, ledger, run_name,
        [&](const Sample& sample, const Recorder& so_far) { live.show(sample, so_far); }, interrupted);
  }
  const std::vector<std::string> complaints = complaints_of(options, policy, finished, ledger);
  const boost::json::object result = result_of(options, policy, finished, ledger, complaints, server_version, begun);
  fmt::print("{}", text_of(result));
  if (!options.json_file.empty()) write_file(options.json_file, boost::json::serialize(result) + "\n");
  if (!options.html_file.empty()) write_file(options.html_file, html_report(result));
  if (!options.users_out.empty()) write_users(options.users_out, phones);
  if (options.remove_users && !options.constant) {
    const std::size_t removed = load::remove_users(options, target, tls.get(), run_name);
    fmt::print(stderr, "{} users of this run removed.\n", removed);
  }
  for (const std::string& complaint : complaints) fmt::print(stderr, "watchword-load: {}\n", complaint);
  return complaints.empty() ? 0 : failed;
}

int run_program(int argc, char** argv) {
  Arguments arguments;
  CLI::App program{"Drives a Watchword server, checks every answer, and tells how fast they came."};
  program.set_version_flag("--version", std::string("watchword-load ") + WATCHWORD_VERSION);
  take_run_options(program, arguments);
  CLI::App* const compare_command =
      program.add_subcommand("compare", "Two results side by side; exit code 1 where B is worse");
  compare_command->add_option("a", arguments.result_a, "A.json")->required();
  compare_command->add_option("b", arguments.result_b, "B.json")->required();
  compare_command->add_option("--threshold", arguments.threshold, "What counts as worse, as a share")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  compare_command->add_option("--noise-us", arguments.noise_us, "Latencies below are not compared")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  CLI::App* const report_command = program.add_subcommand("report", "Make the HTML report of a result");
  report_command->add_option("json", arguments.report_of, "RESULT.json")->required();
  report_command->add_option("html", arguments.report_to, "REPORT.html")->required();
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& fault) {
    const int code = program.exit(fault);
    return code == 0 ? 0 : wrong_usage;
  }
  if (compare_command->parsed()) {
    const Comparison comparison =
        compare(read_result(arguments.result_a), read_result(arguments.result_b), arguments.threshold, arguments.noise_us);
    fmt::print("{}", comparison.text);
    return comparison.worse ? failed : 0;
  }
  if (report_command->parsed()) {
    write_file(arguments.report_to, html_report(read_result(arguments.report_of).as_object()));
    return 0;
  }
  return measure(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction stop {};
  stop.sa_handler = [](int) { interrupted = true; };
  stop.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &stop, nullptr);
  sigaction(SIGTERM, &stop, nullptr);
  try {
    return run_program(argc, argv);
  } catch (const Usage& fault) {
    fmt::print(stderr, "watchword-load: {}\nMore: watchword-load --help\n", fault.what());
    return wrong_usage;
  } catch (const std::invalid_argument& fault) {
    fmt::print(stderr, "watchword-load: {}\n", fault.what());
    return wrong_usage;
  } catch (const std::exception& fault) {
    fmt::print(stderr, "watchword-load: {}\n", fault.what());
    return failed;
  }
}
