// What all event loops share.
#pragma once

#include <atomic>
#include <cstddef>

#include "api/admin_plane.h"
#include "api/api_documents.h"
#include "api/audit_queue.h"
#include "api/http_metrics.h"
#include "api/live_history.h"
#include "api/portal_plane.h"
#include "api/server.h"
#include "api/worker_pool.h"
#include "engine/engine.h"
#include "metrics/exposition.h"

namespace watchword::api {

struct Services {
  Services(engine::Engine& engine_in, AccessKeys& keys_in, ServerOptions options_in, Counting counting)
      : engine(engine_in),
        keys(keys_in),
        options(std::move(options_in)),
        exposition(counting.exposition),
        history(counting.history),
        audit_queue(engine_in.committer),
        admin(engine_in, keys_in, &audit_queue),
        portal(engine_in, keys_in, admin, options.portal),
        workers(options.workers, options.worker_queue_max),
        bulk_workers(bulk_workers_count, options.worker_queue_max, WorkerPool::Rank::patient),
        slow_workers(options.slow_workers, options.slow_queue_max),
        provider_workers(provider_workers_count, provider_queue_max) {
    if (exposition == nullptr) return;
    portal.expose(
        {.now = [this] { return scrape(); }, .history = [this] { return history_answer(*history, engine::wall_now()); }});
  }

  engine::Engine& engine;
  AccessKeys& keys;
  const ServerOptions options;
  metrics::Exposition* const exposition;  // null: nothing is counted
  metrics::History* const history;        // there with it
  HttpMetrics http;
  AuditQueue audit_queue;
  const ApiDocuments documents;
  AdminPlane admin;
  PortalPlane portal;
  WorkerPool workers;
  // What goes over many rows: it takes its time, and verifications go first.
  static constexpr unsigned bulk_workers_count = 2;
  WorkerPool bulk_workers;
  // Slow hashes alone: each takes a core for milliseconds and 19 MiB, so they are few, and nobody else waits behind them.
  WorkerPool slow_workers;
  // Sign-ins by the OpenID provider: each may wait some seconds for it, and nobody else waits behind them.
  static constexpr unsigned provider_workers_count = 4;
  static constexpr std::size_t provider_queue_max = 256;
  WorkerPool provider_workers;
  // Further ones were closed at once.
  metrics::SharedCounter connections_accepted;
  metrics::SharedCounter connections_refused;

  // What /metrics answers; `exposition` is there. Waits for whoever scrapes already.
  Response scrape() const {
    return {.content_type = metrics::Exposition::content_type(),
            .body = exposition->scrape(),
            .headers = {},
            .route = "/metrics"};
  }

  // Set once, by stop(). Relaxed: it only changes what answers say; the order of stopping is kept by the loops' queues.
  std::atomic<bool> stopping{false};
  // Server::Clock, by the main thread; relaxed, since answers about readiness are all that reads them.
  std::atomic<std::int64_t> clock_behind_s{0};
  std::atomic<std::int64_t> clock_jumped_s{0};
  std::atomic<std::uint64_t> clock_jumps_forward{0};
  std::atomic<std::uint64_t> clock_jumps_back{0};
  // Written by the accepting loop and by every loop that closes one; relaxed, since it only counts.
  std::atomic<std::size_t> connections{0};
};

}  // namespace watchword::api
