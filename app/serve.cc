#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "api/access_keys.h"
#include "api/live_history.h"
#include "api/log.h"
#include "api/policy_document.h"
#include "api/server.h"
#include "api/trail_outlets.h"
#include "app/caretaker.h"
#include "app/commands.h"
#include "app/machine_memory.h"
#include "app/serve_metrics.h"
#include "engine/engine.h"
#include "engine/rcu.h"
#include "metrics/process.h"
#include "metrics/ticks.h"
#include "storage/open.h"

namespace watchword::app {
namespace {

using api::Level;
using api::log;

// Memory holds secrets: no core dump, no debugger of the same user.
void forbid_core_dumps() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

void raise_open_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// The C library maps large blocks on their own and unmaps them when they are freed, but after the first one it raises the
// bound to its size: what folds and compactions need for a while would then lie between what is in use, hundreds of
// megabytes after minutes of full load. A bound of our own stays. So does that of free memory at the end of an arena, which
// would be too low for threads that need as much again and again.
void give_large_blocks_back() {
  constexpr int kept_bytes_max = 256 * 1024, kept_on_top_max = 1024 * 1024;
  mallopt(M_MMAP_THRESHOLD, kept_bytes_max);
  mallopt(M_TRIM_THRESHOLD, kept_on_top_max);
}

// Blocked in every thread that is started afterwards, so that only Caretaker::wait() sees them.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

std::string address_of(const api::ListenerOptions& listener, std::uint16_t port) {
  const bool six = listener.host.find(':') != std::string::npos;
  return (six ? "[" + listener.host + "]" : listener.host) + ":" + std::to_string(port);
}

}  // namespace

int run_serve(const Config& config) {
  forbid_core_dumps();
  raise_open_files();
  give_large_blocks_back();
  const sigset_t signals = block_signals();
  const engine::RcuThread rcu;
  log(Level::info, "start", {{"version", WATCHWORD_VERSION}, {"data_dir", config.store.data_dir.string()}});
  const auto begin = std::chrono::steady_clock::now();

  storage::RocksStoreOptions store_options = config.store;
  store_options.warn = [](const std::string& text) { log(Level::warning, "store", {{"message", text}}); };
  const std::unique_ptr<engine::Store> store = storage::open_rocks_store(store_options);
  const engine::HmacKernel& kernel = kernel_of(config.hmac);
  const std::size_t resident_bytes_max =
      config.resident_bytes_max != 0 ? config.resident_bytes_max : machine_memory_bytes() / 2;
  metrics::Exposition exposition;
  api::LiveHistory history;
  CommitMetrics commits;  // outlives the committer
  engine::Engine engine(*store, api::load_policy(*store, config.policy), kernel, resident_bytes_max);
  log(Level::info, "kernel", {{"hmac", kernel.name}});
  log(Level::info, "memory", {{"resident_mib_max", static_cast<std::int64_t>(resident_bytes_max >> 20)}});
  if (config.metrics.enabled) {
    metrics::calibrate_ticks();
    metrics::expose_process(exposition);
    metrics::expose_clock(exposition);
    expose_build(exposition, std::string(kernel.name));
    expose_engine(exposition, engine);
    const auto collect_commits = [&commits](metrics::Collected& into) { commits.collect(into); };
    exposition.add_collector(collect_commits);
    history.add_collector(collect_commits);
    engine.committer.watch(&commits);
  }
  {
    // Before the server, so that no entry of this run is missed by a new outlet, and after it, so that none is left behind.
    api::TrailOutlets outlets(*store, engine.committer, config.outlets);
    if (config.metrics.enabled) outlets.expose(exposition);
    api::AccessKeys keys(*store, engine.committer);
    const api::Counting counting =
        config.metrics.enabled ? api::Counting{.exposition = &exposition, .history = &history} : api::Counting{};
    api::Server server(engine, keys, config.server, counting);
    server.start();
    if (config.metrics.enabled) expose_access_keys(exposition, keys);
    Caretaker caretaker(engine, server, keys, outlets, counting.history, config.store.data_dir);
    for (std::size_t i = 0; i < config.server.listeners.size(); ++i) {
      log(Level::info, "listening", {{"address", address_of(config.server.listeners[i], server.port(i))}});
    }
    const auto ready_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
    log(Level::info, "ready", {{"after_ms", static_cast<std::int64_t>(ready_ms)}});

    const int signal = caretaker.wait(signals);
    log(Level::info, "stop", {{"signal", std::int64_t{signal}}});
    // Who asks twice does not want to wait.
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    std::signal(SIGTERM, [](int) { std::_Exit(1); });
    std::signal(SIGINT, [](int) { std::_Exit(1); });
    server.stop();
    keys.look_after(engine::wall_now(), true);
  }
  engine.memory.stop();
  engine.committer.stop();
  const bool clean = store->writable();
  log(Level::info, "stopped", {{"clean", clean ? "yes" : "no"}});
  return 0;
}

}  // namespace watchword::app
