#include "api/server_metrics.h"

#include <fmt/format.h>

namespace watchword::api {
namespace {

using metrics::Collected;
using metrics::Exposition;

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

void expose_pool(Exposition& exposition, const WorkerPool& pool, const std::string& name) {
  exposition.add_gauge("watchword_worker_queue_depth", "Jobs that wait for a worker, by pool.", {{"pool", name}},
                       [&pool] { return number(pool.waiting()); });
  exposition.add_gauge("watchword_worker_queue_limit",
                       "Jobs that may wait for a worker; further ones are answered with 503.", {{"pool", name}},
                       [&pool] { return number(pool.waiting_max()); });
  exposition.add_counter("watchword_worker_queue_rejections_total",
                         "Jobs that a full queue did not take, answered with 503.", {{"pool", name}},
                         [&pool] { return number(pool.refused()); });
}

void expose_connections(Exposition& exposition, const Services& services) {
  exposition.add_gauge("watchword_connections", "Open client connections.", {},
                       [&] { return number(services.connections.load(std::memory_order_relaxed)); });
  exposition.add_gauge("watchword_connections_limit",
                       "Client connections that may be open; further ones are closed at once.", {},
                       [&] { return number(services.options.connections_max); });
  exposition.add_counter("watchword_connections_accepted_total", "Client connections taken.", {},
                         [&] { return number(services.connections_accepted.value()); });
  exposition.add_counter("watchword_connections_refused_total", "Client connections closed at once: too many were open.", {},
                         [&] { return number(services.connections_refused.value()); });
}

// As /readyz answers.
bool ready(const Services& services) {
  if (services.stopping.load(std::memory_order_relaxed)) return false;
  const engine::StoreHealth health = services.engine.store.health();
  return health.writable && !health.needs_restart && services.clock_behind_s.load(std::memory_order_relaxed) == 0;
}

}  // namespace

void expose(Services& services, const std::vector<std::unique_ptr<EventLoop>>& loops,
            const std::vector<std::unique_ptr<Listener>>& listeners) {
  Exposition& exposition = *services.exposition;
  for (const auto& loop : loops) {
    const auto verifications = [metrics = loop->metrics()](Collected& into) { metrics->collect(into); };
    exposition.add_collector(verifications);
    services.history->add_collector(verifications);
    exposition.add_counter("watchword_audit_verifications_left_out_total",
                           "Verifications that changed nothing and are told in the audit trail by their number alone.", {},
                           [&plane = loop->verify_plane()] { return number(plane.left_out_of_audit()); });
  }
  exposition.add_collector([&services](Collected& into) { services.http.collect(into); });
  const auto portal_verifications = [&verifier = services.portal.verifier()](Collected& into) { verifier.collect(into); };
  exposition.add_collector(portal_verifications);
  services.history->add_collector(portal_verifications);
  expose_pool(exposition, services.workers, "workers");
  expose_pool(exposition, services.bulk_workers, "bulk");
  expose_pool(exposition, services.slow_workers, "slow");
  expose_pool(exposition, services.provider_workers, "provider");
  expose_connections(exposition, services);
  exposition.add_gauge("watchword_audit_backlog", "Entries that wait to be written to the audit trail.", {},
                       [&services] { return number(services.audit_queue.backlog()); });
  exposition.add_counter(
      "watchword_audit_left_out_total",
      "Refused requests and locks that are told in the audit trail by their number alone: too many came at "
      "once.",
      {}, [&services] { return number(services.audit_queue.left_out()); });
  exposition.add_gauge("watchword_sessions", "Sessions of people and administrators in memory.", {},
                       [&sessions = services.portal.sessions()] { return number(sessions.size()); });
  exposition.add_gauge("watchword_sessions_limit", "Sessions that may be in memory; further ones are answered with 503.", {},
                       [&services] { return number(services.options.portal.sessions_max); });
  exposition.add_gauge("watchword_ready", "Whether the server takes what it is there for, as /readyz says.", {},
                       [&services] { return ready(services) ? 1.0 : 0.0; });
  exposition.add_gauge("watchword_clock_behind_seconds",
                       "How much earlier the clock is than it has been; 0 within a minute, else the server is not ready.",
                       {},
                       [&services] { return static_cast<double>(services.clock_behind_s.load(std::memory_order_relaxed)); });
  for (const auto& [direction, count] :
       {std::pair{"forward", &services.clock_jumps_forward}, std::pair{"back", &services.clock_jumps_back}}) {
    exposition.add_counter("watchword_clock_jumps_total", "Jumps of the clock by a second or more.",
                           {{"direction", direction}},
                           [jumps = count] { return number(jumps->load(std::memory_order_relaxed)); });
  }
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    TlsGate* const gate = listeners[i]->gate();
    if (gate == nullptr) continue;
    const std::string address = fmt::format("{}:{}", services.options.listeners[i].host, listeners[i]->port());
    exposition.add_gauge("watchword_certificate_expiry_timestamp_seconds",
                         "When the certificate of a listener ends, seconds since 1970.", {{"listener", address}},
                         [gate] { return static_cast<double>(gate->expires_at_s()); });
  }
}

}  // namespace watchword::api
