// The configuration file: TOML, every key optional, none unknown. configs/watchword.toml is its manual.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "api/server.h"
#include "api/trail_outlets.h"
#include "engine/otp.h"
#include "engine/policy.h"
#include "storage/open.h"

namespace watchword::app {

// Says file, line, key and what is allowed.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct LogOptions {
  std::string level = "info";  // debug, info, warning, error
};

struct MetricsOptions {
  bool enabled = true;
};

// Who computes the codes. `openssl` forces libcrypto on a machine whose processor could do better.
enum class Hmac : std::uint8_t { automatic, openssl };
const engine::HmacKernel& kernel_of(Hmac hmac);

struct Config {
  storage::RocksStoreOptions store;
  api::ServerOptions server;
  api::TrailOutletOptions outlets;
  LogOptions log;
  MetricsOptions metrics;
  Hmac hmac = Hmac::automatic;
  std::size_t resident_bytes_max = 0;  // of the users in memory; 0: half of what the process may use
  engine::Policy policy;               // until one is set over REST
};

Config default_config();
// Throws ConfigError.
Config read_config(const std::filesystem::path& file);
Config parse_config(std::string_view text, const std::string& name);

// "HOST:PORT", "[IPv6]:PORT". Throws ConfigError.
api::ListenerOptions parse_listener(const std::string& text);

}  // namespace watchword::app
