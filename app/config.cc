#include "app/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <sstream>

#include "app/config_reader.h"

namespace watchword::app {
namespace {

constexpr std::int64_t mib = std::int64_t{1} << 20;
constexpr std::int64_t tib = std::int64_t{1} << 40;

Keys data_keys(const Reader& in, Config& config) {
  storage::RocksStoreOptions& store = config.store;
  return {
      {"dir", [&](const auto& node) { store.data_dir = in.text("data.dir", node); }},
      {"master_key_file", [&](const auto& node) { store.master_key_file = in.text("data.master_key_file", node); }},
      {"master_key_command",
       [&](const auto& node) {
         store.master_key_command = in.texts("data.master_key_command", node);
         if (!store.master_key_command.empty() && store.master_key_command.front().empty()) {
           in.fail(node, "data.master_key_command begins with the name of a program");
         }
       }},
      {"reseal_rows_per_s_max",
       [&](const auto& node) {
         store.reseal_rows_per_s_max = in.number<std::uint32_t>("data.reseal_rows_per_s_max", node, 0, 10'000'000);
       }},
      {"free_bytes_min",
       [&](const auto& node) { store.free_bytes_min = in.number<std::uint64_t>("data.free_bytes_min", node, 0, tib); }},
      {"memtable_bytes_max",
       [&](const auto& node) {
         store.memtable_bytes_max = in.number<std::size_t>("data.memtable_bytes_max", node, 16 * mib, 1024 * 1024 * mib);
       }},
      {"block_cache_bytes",
       [&](const auto& node) {
         store.block_cache_bytes = in.number<std::size_t>("data.block_cache_bytes", node, 8 * mib, 1024 * 1024 * mib);
       }},
      {"wal_bytes_max",
       [&](const auto& node) {
         store.wal_bytes_max = in.number<std::uint64_t>("data.wal_bytes_max", node, 16 * mib, 64 * 1024 * mib);
       }},
      {"unfolded_cells_max",
       [&](const auto& node) {
         store.unfolded_cells_max = in.number<std::size_t>("data.unfolded_cells_max", node, 1000, 10'000'000);
       }},
      {"fold_interval_ms",
       [&](const auto& node) {
         store.fold_interval_ms = in.number<std::uint32_t>("data.fold_interval_ms", node, 100, 600'000);
       }},
  };
}

void read_data(const Reader& in, const toml::node& node, Config& config) {
  in.table("data", node, data_keys(in, config));
  if (!config.store.master_key_command.empty() && !config.store.master_key_file.empty()) {
    in.fail(node, "data.master_key_file and data.master_key_command exclude each other");
  }
}

Keys backup_keys(const Reader& in, Config& config) {
  storage::RocksStoreOptions& store = config.store;
  return {{"dir", [&](const auto& node) { store.backup_dir = in.text("backup.dir", node); }},
          {"keep", [&](const auto& node) { store.backups_kept = in.number<std::uint32_t>("backup.keep", node, 1, 1000); }},
          {"bytes_per_s_max", [&](const auto& node) {
             store.backup_bytes_per_s_max = in.number<std::uint64_t>("backup.bytes_per_s_max", node, 0, tib);
             if (store.backup_bytes_per_s_max > 0 && store.backup_bytes_per_s_max < 64 * 1024) {
               in.fail(node, "backup.bytes_per_s_max must be 0 or at least 65536");
             }
           }}};
}

Keys server_keys(const Reader& in, Config& config) {
  api::ServerOptions& server = config.server;
  const auto seconds = [&in](const char* key, std::chrono::seconds& out) {
    return [&in, key, &out](const toml::node& node) {
      out = std::chrono::seconds(in.number<std::int64_t>(std::string("server.") + key, node, 1, 3600));
    };
  };
  return {
      {"loops", [&](const auto& node) { server.loops = in.number<unsigned>("server.loops", node, 0, 256); }},
      {"workers", [&](const auto& node) { server.workers = in.number<unsigned>("server.workers", node, 1, 256); }},
      {"connections_max",
       [&](const auto& node) {
         server.connections_max = in.number<std::size_t>("server.connections_max", node, 1, 1'000'000);
       }},
      {"worker_queue_max",
       [&](const auto& node) {
         server.worker_queue_max = in.number<std::size_t>("server.worker_queue_max", node, 1, 1'000'000);
       }},
      {"slow_workers",
       [&](const auto& node) { server.slow_workers = in.number<unsigned>("server.slow_workers", node, 1, 64); }},
      {"slow_queue_max",
       [&](const auto& node) { server.slow_queue_max = in.number<std::size_t>("server.slow_queue_max", node, 1, 100'000); }},
      {"header_timeout_s", seconds("header_timeout_s", server.header_timeout)},
      {"body_timeout_s", seconds("body_timeout_s", server.body_timeout)},
      {"idle_timeout_s", seconds("idle_timeout_s", server.idle_timeout)},
      {"write_timeout_s", seconds("write_timeout_s", server.write_timeout)},
      {"drain_timeout_s", seconds("drain_timeout_s", server.drain_timeout)},
  };
}

std::uint8_t read_planes(const Reader& in, const toml::node& node) {
  const toml::array* const names = node.as_array();
  if (names == nullptr || names->empty()) in.fail(node, "listener.planes must be a list such as [\"verify\", \"admin\"]");
  std::uint8_t planes = 0;
  for (const toml::node& name : *names) {
    const auto plane = in.choice<api::Plane>("listener.planes", name,
                                             {{"verify", api::Plane::verify},
                                              {"admin", api::Plane::admin},
                                              {"portal", api::Plane::portal},
                                              {"metrics", api::Plane::metrics}});
    planes = static_cast<std::uint8_t>(planes | static_cast<std::uint8_t>(plane));
  }
  return planes;
}

void read_listeners(const Reader& in, const toml::node& node, Config& config) {
  const toml::array* const list = node.as_array();
  if (list == nullptr || list->empty()) in.fail(node, "listener must be one or more tables, each begun with [[listener]]");
  config.server.listeners.clear();
  for (const toml::node& one : *list) {
    api::ListenerOptions listener;
    in.table(
        "listener", one,
        {{"host", [&](const auto& value) { listener.host = in.text("listener.host", value); }},
         {"port", [&](const auto& value) { listener.port = in.number<std::uint16_t>("listener.port", value, 0, 65535); }},
         {"planes", [&](const auto& value) { listener.planes = read_planes(in, value); }},
         {"certificate_file",
          [&](const auto& value) { listener.tls.certificate_file = in.text("listener.certificate_file", value); }},
         {"key_file", [&](const auto& value) { listener.tls.key_file = in.text("listener.key_file", value); }},
         {"client_ca_file",
          [&](const auto& value) { listener.tls.client_ca_file = in.text("listener.client_ca_file", value); }},
         {"client_crl_file",
          [&](const auto& value) { listener.tls.client_crl_file = in.text("listener.client_crl_file", value); }},
         {"client_certificate", [&](const auto& value) {
            listener.tls.client_certificate_required =
                in.choice<bool>("listener.client_certificate", value, {{"optional", false}, {"required", true}});
          }}});
    const api::TlsOptions& tls = listener.tls;
    if (!tls.enabled() && !(tls.key_file.empty() && tls.client_ca_file.empty())) {
      in.fail(one, "listener has a key_file or client_ca_file but no certificate_file");
    }
    if (tls.client_certificate_required && tls.client_ca_file.empty()) {
      in.fail(one, "listener.client_certificate = \"required\" needs a client_ca_file");
    }
    if (!tls.client_crl_file.empty() && tls.client_ca_file.empty()) {
      in.fail(one, "listener.client_crl_file needs a client_ca_file");
    }
    config.server.listeners.push_back(listener);
  }
}

void read_client_certificates(const Reader& in, const toml::node& node, Config& config) {
  const toml::array* const list = node.as_array();
  if (list == nullptr) in.fail(node, "client_certificate must be tables, each begun with [[client_certificate]]");
  for (const toml::node& one : *list) {
    api::ClientCertificate client;
    const auto scopes = [&](const toml::node& value) {
      const toml::array* const names = value.as_array();
      if (names == nullptr) in.fail(value, "client_certificate.scopes must be a list such as [\"verify\"]");
      for (const toml::node& name : *names) {
        const auto scope = api::parse_scope(in.text("client_certificate.scopes", name));
        if (!scope) in.fail(name, "there are the scopes verify, enroll, read, admin, audit and metrics");
        client.scopes = static_cast<api::Scopes>(client.scopes | static_cast<api::Scopes>(*scope));
      }
    };
    in.table(
        "client_certificate", one,
        {{"name", [&](const auto& value) { client.name = in.text("client_certificate.name", value); }}, {"scopes", scopes}});
    if (client.name.empty() || client.scopes == 0) in.fail(one, "client_certificate needs a name and at least one scope");
    if (client.name.size() > api::client_name_bytes_max) {
      in.fail(one, "client_certificate.name has at most " + std::to_string(api::client_name_bytes_max) + " bytes");
    }
    for (const api::ClientCertificate& other : config.server.client_certificates) {
      if (other.name == client.name) in.fail(one, "client_certificate.name \"" + client.name + "\" is there twice");
    }
    config.server.client_certificates.push_back(std::move(client));
  }
}

Keys lockout_keys(const Reader& in, engine::Lockout& lockout) {
  const auto count = [&in](const char* key, auto& out) {
    return [&in, key, &out](const toml::node& node) {
      out = in.number<std::remove_reference_t<decltype(out)>>(std::string("policy.lockout.") + key, node, 1, 86'400);
    };
  };
  return {{"failures", count("failures", lockout.failures)},
          {"delay_s_min", count("delay_s_min", lockout.delay_s_min)},
          {"delay_s_max", count("delay_s_max", lockout.delay_s_max)},
          {"hard_failures", count("hard_failures", lockout.hard_failures)}};
}

Keys policy_keys(const Reader& in, engine::Policy& policy) {
  const auto count = [&in](const char* key, auto& out) {
    return [&in, key, &out](const toml::node& node) {
      out = in.number<std::remove_reference_t<decltype(out)>>(
          std::string("policy.") + key, node, 0, std::numeric_limits<std::remove_reference_t<decltype(out)>>::max());
    };
  };
  using engine::NoDeviceAction, engine::Prompt, engine::SelfRegistration, engine::Algorithm;
  return {
      {"self_registration",
       [&](const auto& node) {
         policy.self_registration =
             in.choice<SelfRegistration>("policy.self_registration", node,
                                         {{"allowed", SelfRegistration::allowed}, {"denied", SelfRegistration::denied}});
       }},
      {"no_device_action",
       [&](const auto& node) {
         policy.no_device_action = in.choice<NoDeviceAction>("policy.no_device_action", node,
                                                             {{"register", NoDeviceAction::register_device},
                                                              {"allow", NoDeviceAction::allow},
                                                              {"deny", NoDeviceAction::deny}});
       }},
      {"prompt",
       [&](const auto& node) {
         policy.prompt = in.choice<Prompt>("policy.prompt", node, {{"always", Prompt::always}, {"never", Prompt::never}});
       }},
      {"algorithm",
       [&](const auto& node) {
         policy.defaults.algorithm =
             in.choice<Algorithm>("policy.algorithm", node,
                                  {{"SHA1", Algorithm::sha1}, {"SHA256", Algorithm::sha256}, {"SHA512", Algorithm::sha512}});
       }},
      {"audit_verifications",
       [&](const auto& node) {
         using engine::AuditVerifications;
         policy.audit_verifications = in.choice<AuditVerifications>("policy.audit_verifications", node,
                                                                    {{"all", AuditVerifications::all},
                                                                     {"refusals", AuditVerifications::refusals},
                                                                     {"none", AuditVerifications::none}});
       }},
      {"issuer", [&](const auto& node) { policy.issuer = in.text("policy.issuer", node); }},
      {"digits", count("digits", policy.defaults.digits)},
      {"period", count("period", policy.defaults.period_s)},
      {"max_devices_per_user", count("max_devices_per_user", policy.max_devices_per_user)},
      {"window_steps", count("window_steps", policy.window_steps)},
      {"registration_window_steps", count("registration_window_steps", policy.registration_window_steps)},
      {"max_drift_steps", count("max_drift_steps", policy.max_drift_steps)},
      {"pending_expires_s", count("pending_expires_s", policy.pending_expires_s)},
      {"lockout", [&](const auto& node) { in.table("policy.lockout", node, lockout_keys(in, policy.lockout)); }},
  };
}

void read_policy(const Reader& in, const toml::node& node, Config& config) {
  in.table("policy", node, policy_keys(in, config.policy));
  if (const auto fault = engine::validate(config.policy)) {
    in.fail(node, "policy." + fault->field + " is out of range; allowed: " + fault->reason);
  }
}

void read_log(const Reader& in, const toml::node& node, Config& config) {
  in.table("log", node, {{"level", [&](const auto& value) {
                            config.log.level = in.choice<std::string>(
                                "log.level", value,
                                {{"debug", "debug"}, {"info", "info"}, {"warning", "warning"}, {"error", "error"}});
                          }}});
}

void read_metrics(const Reader& in, const toml::node& node, Config& config) {
  in.table("metrics", node,
           {{"enabled", [&](const auto& value) { config.metrics.enabled = in.flag("metrics.enabled", value); }}});
}

void read_engine(const Reader& in, const toml::node& node, Config& config) {
  in.table("engine", node,
           {{"hmac",
             [&](const auto& value) {
               config.hmac = in.choice<Hmac>("engine.hmac", value, {{"auto", Hmac::automatic}, {"openssl", Hmac::openssl}});
             }},
            {"resident_bytes_max", [&](const auto& value) {
               config.resident_bytes_max = in.number<std::size_t>("engine.resident_bytes_max", value, 0, 16 * tib);
               if (config.resident_bytes_max != 0 && config.resident_bytes_max < std::size_t{16 * mib}) {
                 in.fail(value, "engine.resident_bytes_max must be 0 or at least 16777216 (16 MiB)");
               }
             }}});
}

}  // namespace

const engine::HmacKernel& kernel_of(Hmac hmac) {
  return hmac == Hmac::openssl ? engine::openssl_kernel() : engine::best_kernel();
}

Config default_config() {
  Config config;
  config.store.data_dir = "watchword-data";
  // Beside the program, as the build leaves them.
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) config.server.portal.assets_dir = program.parent_path() / "portal";
  return config;
}

Config parse_config(std::string_view text, const std::string& name) {
  Config config = default_config();
  const Reader in(name);
  try {
    const toml::table document = toml::parse(text, name);
    in.table("", document,
             {{"data", [&](const auto& node) { read_data(in, node, config); }},
              {"listener", [&](const auto& node) { read_listeners(in, node, config); }},
              {"backup", [&](const auto& node) { in.table("backup", node, backup_keys(in, config)); }},
              {"client_certificate", [&](const auto& node) { read_client_certificates(in, node, config); }},
              {"engine", [&](const auto& node) { read_engine(in, node, config); }},
              {"server", [&](const auto& node) { in.table("server", node, server_keys(in, config)); }},
              {"portal", [&](const auto& node) { read_portal(in, node, config); }},
              {"metrics", [&](const auto& node) { read_metrics(in, node, config); }},
              {"log", [&](const auto& node) { read_log(in, node, config); }},
              {"audit", [&](const auto& node) { in.table("audit", node, audit_keys(in, config)); }},
              {"webhooks", [&](const auto& node) { read_webhooks(in, node, config); }},
              {"policy", [&](const auto& node) { read_policy(in, node, config); }}});
  } catch (const toml::parse_error& fault) {
    throw ConfigError(name + ":" + std::to_string(fault.source().begin.line) + ": " + std::string(fault.description()));
  }
  const bool certified =
      std::any_of(config.server.listeners.begin(), config.server.listeners.end(), [](const api::ListenerOptions& listener) {
        return (listener.planes & static_cast<std::uint8_t>(api::Plane::portal)) != 0 &&
               !listener.tls.client_ca_file.empty();
      });
  if (!config.server.portal.proxy.client_certificate.empty() && !certified) {
    throw ConfigError(name +
                      ": portal.proxy.client_certificate needs a listener with the plane \"portal\" and a client_ca_file");
  }
  return config;
}

Config read_config(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw ConfigError("cannot read the configuration file " + file.string());
  std::stringstream text;
  text << in.rdbuf();
  return parse_config(text.str(), file.string());
}

api::ListenerOptions parse_listener(const std::string& text) {
  api::ListenerOptions listener;
  const std::size_t colon = text.rfind(':');
  const auto fail = [&] {
    throw ConfigError("\"" + text + "\" is no address to listen on; write HOST:PORT, such as 127.0.0.1:8080");
  };
  if (colon == std::string::npos || colon == 0) fail();
  listener.host = text.substr(0, colon);
  if (listener.host.front() == '[' && listener.host.back() == ']') {
    listener.host = listener.host.substr(1, listener.host.size() - 2);
  } else if (listener.host.find(':') != std::string::npos) {
    fail();  // whether the last group is a port would be a guess
  }
  if (listener.host == "localhost") listener.host = "127.0.0.1";
  const char* const end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data() + colon + 1, end, listener.port);
  if (fault != std::errc{} || stop != end) fail();
  return listener;
}

}  // namespace watchword::app
