// The HTTP server: event loops in front of one engine. start() returns when all listeners accept; stop() is graceful.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/access_keys.h"
#include "api/portal_options.h"
#include "api/tls_gate.h"
#include "engine/engine.h"

namespace watchword::metrics {
class Exposition;
class History;
}  // namespace watchword::metrics

namespace watchword::api {

enum class Plane : std::uint8_t { verify = 1, admin = 2, portal = 4, metrics = 8 };

struct ListenerOptions {
  std::string host = "127.0.0.1";  // an IP address
  std::uint16_t port = 8080;       // 0: any free port
  std::uint8_t planes = 0x0f;      // union of Plane bits
  TlsOptions tls;                  // plain HTTP unless it names a certificate
};

struct ServerOptions {
  std::vector<ListenerOptions> listeners = {ListenerOptions{}};
  std::vector<ClientCertificate> client_certificates;
  unsigned loops = 0;    // 0: one for each core that the process may run on
  unsigned workers = 8;  // threads for what may block
  std::size_t connections_max = 50000;
  std::size_t worker_queue_max = 4096;      // jobs waiting; beyond: 503
  unsigned slow_workers = 2;                // threads for the slow hashes of recovery codes
  std::size_t slow_queue_max = 128;         // recovery codes waiting; beyond: 503
  std::chrono::seconds header_timeout{10};  // from a request's first byte to the end of its header block
  std::chrono::seconds body_timeout{20};
  std::chrono::seconds idle_timeout{75};   // keep-alive between requests
  std::chrono::seconds write_timeout{20};  // a client that does not read its answer
  std::chrono::seconds drain_timeout{10};  // graceful stop: after this, connections are cut
  PortalOptions portal;
};

// Where what is counted is registered, and asked for. Null, both: nothing is counted.
struct Counting {
  metrics::Exposition* exposition = nullptr;
  metrics::History* history = nullptr;
};

class Server {
 public:
  // Registers what it counts and answers /metrics, and the console's questions, from it, as long as it lives.
  Server(engine::Engine& engine, AccessKeys& keys, ServerOptions options, Counting counting);
  ~Server();

  void start();  // throws std::runtime_error, naming the address, when it cannot listen
  std::uint16_t port(std::size_t listener = 0) const;
  // Takes certificates that changed on disk; to be called about every second by one thread. `at_once`: all of them, now.
  void look_at_certificates(bool at_once);
  // When each listener's certificate ends (seconds since 1970); nullopt: it speaks plain HTTP. Any thread.
  std::vector<std::optional<std::int64_t>> certificates_expire_at_s() const;
  // For readiness. Any thread.
  struct Clock {
    std::int64_t behind_s = 0;        // how much earlier it is than it has been: not ready; 0: fit
    std::int64_t jumped_s = 0;        // lately, forward or back; 0: it did not
    std::uint64_t jumps_forward = 0;  // since the start
    std::uint64_t jumps_back = 0;
  };
  void tell_clock(const Clock& clock);
  // Of each event loop, how often it came round; see EventLoop::turns(). Any thread, between start() and stop().
  std::vector<std::uint64_t> loop_turns() const;
  // Open ones. Any thread.
  std::size_t connections() const;
  // Accepts no more, finishes what is in flight (answers carry Connection: close), waits for commits, joins all threads.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchword::api
