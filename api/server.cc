#include "api/server.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <memory>
#include <thread>

#include <boost/asio/post.hpp>

#include "api/event_loop.h"
#include "api/listener.h"
#include "api/server_metrics.h"
#include "api/services.h"

namespace watchword::api {
namespace {

// Every connection is a file descriptor; the usual soft limit of 1,024 would be the first thing to run out.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Those that this process may run on: a service is often given some of a machine's alone.
unsigned usable_cores() {
  constexpr int cores_max = 8192;  // of a Linux
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> usable(CPU_ALLOC(cores_max), [](cpu_set_t* set) { CPU_FREE(set); });
  const std::size_t bytes = CPU_ALLOC_SIZE(cores_max);
  if (!usable || sched_getaffinity(0, bytes, usable.get()) != 0) return std::max(1U, std::thread::hardware_concurrency());
  return std::max(1U, static_cast<unsigned>(CPU_COUNT_S(bytes, usable.get())));
}

// Where people find the portal when nobody configured it: the first listener that serves it.
std::string own_address(const ServerOptions& options, const std::vector<std::unique_ptr<Listener>>& listeners) {
  for (std::size_t i = 0; i < options.listeners.size(); ++i) {
    const ListenerOptions& one = options.listeners[i];
    if ((one.planes & static_cast<std::uint8_t>(Plane::portal)) == 0) continue;
    const bool any = one.host == "0.0.0.0" || one.host == "::";
    const bool six = one.host.find(':') != std::string::npos;
    const std::string host = any ? "localhost" : six ? "[" + one.host + "]" : one.host;
    return (one.tls.enabled() ? "https://" : "http://") + host + ":" + std::to_string(listeners[i]->port());
  }
  return {};
}

}  // namespace

struct Server::Impl {
  Impl(engine::Engine& engine, AccessKeys& keys, ServerOptions options, Counting counting)
      : services(engine, keys, std::move(options), counting) {}

  Services services;
  std::vector<std::unique_ptr<EventLoop>> loops;
  std::vector<std::unique_ptr<Listener>> listeners;
  bool running = false;
};

Server::Server(engine::Engine& engine, AccessKeys& keys, ServerOptions options, Counting counting)
    : impl_(std::make_unique<Impl>(engine, keys, std::move(options), counting)) {}

Server::~Server() {
  stop();
}

void Server::start() {
  raise_descriptor_limit();
  const ServerOptions& options = impl_->services.options;
  const unsigned count = options.loops > 0 ? options.loops : usable_cores();
  for (unsigned i = 0; i < count; ++i) impl_->loops.push_back(std::make_unique<EventLoop>(impl_->services));
  for (const ListenerOptions& listener : options.listeners) {
    impl_->listeners.push_back(std::make_unique<Listener>(listener, impl_->services, impl_->loops));
  }
  const PortalOptions& portal = options.portal;
  impl_->services.admin.publish_links_at(portal.base_url.empty() ? own_address(options, impl_->listeners) : portal.base_url,
                                         portal.link_expires_s);
  if (impl_->services.exposition != nullptr) expose(impl_->services, impl_->loops, impl_->listeners);
  for (const auto& listener : impl_->listeners) listener->accept();
  try {
    impl_->services.workers.start();
    impl_->services.bulk_workers.start();
    impl_->services.slow_workers.start();
    impl_->services.provider_workers.start();
    for (const auto& loop : impl_->loops) loop->start();
  } catch (...) {  // no more threads: those that run end before their owners do
    for (const auto& loop : impl_->loops) loop->drain();
    for (const auto& loop : impl_->loops) loop->join();
    impl_->services.workers.stop();
    impl_->services.bulk_workers.stop();
    impl_->services.slow_workers.stop();
    impl_->services.provider_workers.stop();
    impl_->services.audit_queue.stop();
    throw;
  }
  impl_->running = true;
}

std::uint16_t Server::port(std::size_t listener) const {
  return impl_->listeners.at(listener)->port();
}

void Server::look_at_certificates(bool at_once) {
  for (const auto& listener : impl_->listeners) {
    if (listener->gate() != nullptr) listener->gate()->look_at_files(at_once);
  }
}

std::vector<std::optional<std::int64_t>> Server::certificates_expire_at_s() const {
  std::vector<std::optional<std::int64_t>> ends;
  for (const auto& listener : impl_->listeners) {
    const TlsGate* const gate = listener->gate();
    ends.push_back(gate != nullptr ? std::optional(gate->expires_at_s()) : std::nullopt);
  }
  return ends;
}

void Server::tell_clock(const Clock& clock) {
  impl_->services.clock_behind_s.store(clock.behind_s, std::memory_order_relaxed);
  impl_->services.clock_jumped_s.store(clock.jumped_s, std::memory_order_relaxed);
  impl_->services.clock_jumps_forward.store(clock.jumps_forward, std::memory_order_relaxed);
  impl_->services.clock_jumps_back.store(clock.jumps_back, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Server::loop_turns() const {
  std::vector<std::uint64_t> turns;
  for (const auto& loop : impl_->loops) turns.push_back(loop->turns());
  return turns;
}

std::size_t Server::connections() const {
  return impl_->services.connections.load(std::memory_order_relaxed);
}

void Server::stop() {
  if (!impl_->running) return;
  impl_->running = false;
  impl_->services.stopping.store(true, std::memory_order_relaxed);
  impl_->services.engine.store.stop_backups();
  // First no more sockets come, then the loops are told: so each has its last socket before it hears.
  std::promise<void> closed;
  boost::asio::post(impl_->loops.front()->io(), [&] {
    for (const auto& listener : impl_->listeners) listener->close();
    closed.set_value();
  });
  closed.get_future().wait();
  for (const auto& loop : impl_->loops) loop->drain();
  for (const auto& loop : impl_->loops) loop->join();
  impl_->services.workers.stop();
  impl_->services.bulk_workers.stop();
  impl_->services.slow_workers.stop();
  impl_->services.provider_workers.stop();
  impl_->services.audit_queue.stop();
}

}  // namespace watchword::api
