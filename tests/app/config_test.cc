#include "app/config.h"

#include <gtest/gtest.h>

namespace watchword::app {
namespace {

std::string fault_of(const std::string& text) {
  try {
    parse_config(text, "f.toml");
  } catch (const ConfigError& fault) {
    return fault.what();
  }
  return "";
}

void expect_fault(const std::string& text, const std::vector<std::string>& words) {
  const std::string said = fault_of(text);
  for (const std::string& word : words) EXPECT_NE(said.find(word), std::string::npos) << "\"" << word << "\" in: " << said;
}

TEST(Config, ForcesOpensslsHashes) {
  EXPECT_EQ(&kernel_of(parse_config("[engine]\nhmac = \"openssl\"\n", "f.toml").hmac), &engine::openssl_kernel());
  EXPECT_EQ(&kernel_of(parse_config("[engine]\nhmac = \"auto\"\n", "f.toml").hmac), &engine::best_kernel());
  expect_fault("[engine]\nhmac = \"fast\"\n", {"engine.hmac", "auto", "openssl"});
}

TEST(Config, TheFileThatComesWithItSaysTheDefaults) {
  const Config defaults = default_config();
  const Config read = read_config(std::string(WATCHWORD_CONFIGS) + "/watchword.toml");
  EXPECT_EQ(read.store.data_dir, defaults.store.data_dir);
  EXPECT_EQ(read.store.master_key_file, defaults.store.master_key_file);
  EXPECT_EQ(read.store.free_bytes_min, defaults.store.free_bytes_min);
  EXPECT_EQ(read.store.memtable_bytes_max, defaults.store.memtable_bytes_max);
  EXPECT_EQ(read.store.block_cache_bytes, defaults.store.block_cache_bytes);
  EXPECT_EQ(read.store.wal_bytes_max, defaults.store.wal_bytes_max);
  EXPECT_EQ(read.store.unfolded_cells_max, defaults.store.unfolded_cells_max);
  EXPECT_EQ(read.store.fold_interval_ms, defaults.store.fold_interval_ms);
  EXPECT_EQ(read.hmac, defaults.hmac);
  ASSERT_EQ(read.server.listeners.size(), 1u);
  EXPECT_EQ(read.server.listeners[0].host, defaults.server.listeners[0].host);
  EXPECT_EQ(read.server.listeners[0].port, defaults.server.listeners[0].port);
  EXPECT_EQ(read.server.listeners[0].planes, defaults.server.listeners[0].planes);
  EXPECT_EQ(read.server.loops, defaults.server.loops);
  EXPECT_EQ(read.server.workers, defaults.server.workers);
  EXPECT_EQ(read.server.connections_max, defaults.server.connections_max);
  EXPECT_EQ(read.server.worker_queue_max, defaults.server.worker_queue_max);
  EXPECT_EQ(read.server.header_timeout, defaults.server.header_timeout);
  EXPECT_EQ(read.server.body_timeout, defaults.server.body_timeout);
  EXPECT_EQ(read.server.idle_timeout, defaults.server.idle_timeout);
  EXPECT_EQ(read.server.write_timeout, defaults.server.write_timeout);
  EXPECT_EQ(read.server.drain_timeout, defaults.server.drain_timeout);
  EXPECT_EQ(read.log.level, defaults.log.level);
  EXPECT_EQ(read.metrics.enabled, defaults.metrics.enabled);
  EXPECT_EQ(read.policy, defaults.policy);
}

TEST(Config, AnEmptyFileIsTheDefaults) {
  EXPECT_EQ(parse_config("", "f.toml").policy, default_config().policy);
}

TEST(Config, TakesListenersByPlane) {
  const Config config = parse_config(
      "[[listener]]\nport = 1\nplanes = [\"verify\"]\n[[listener]]\nhost = \"::1\"\nport = 2\nplanes = [\"admin\", "
      "\"metrics\"]\n",
      "f.toml");
  ASSERT_EQ(config.server.listeners.size(), 2u);
  EXPECT_EQ(config.server.listeners[0].planes, 1);
  EXPECT_EQ(config.server.listeners[1].host, "::1");
  EXPECT_EQ(config.server.listeners[1].planes, 10);
}

TEST(Config, AnUnknownKeyIsNamedWithItsLineAndWhatIsAllowed) {
  expect_fault("[server]\n\ncolour = 1\n", {"f.toml:3", "server.colour", "header_timeout_s", "workers"});
  expect_fault("[policy.lockout]\nx = 1\n", {"f.toml:2", "policy.lockout.x", "hard_failures"});
  expect_fault("[colours]\n", {"f.toml:1", "colours", "server", "policy"});
}

TEST(Config, AWrongValueIsNamedWithItsLineAndWhatIsAllowed) {
  expect_fault("[server]\nworkers = \"many\"\n", {"f.toml:2", "server.workers", "1 to 256"});
  expect_fault("[server]\nworkers = 0\n", {"f.toml:2", "server.workers", "1 to 256"});
  expect_fault("[data]\ndir = 5\n", {"f.toml:2", "data.dir", "text"});
  expect_fault("[log]\nlevel = \"loud\"\n", {"f.toml:2", "log.level", "warning"});
  expect_fault("[policy]\ndigits = 9\n", {"digits", "f.toml"});
  expect_fault("[policy]\nalgorithm = \"MD5\"\n", {"f.toml:2", "policy.algorithm", "SHA512"});
  expect_fault("[[listener]]\nplanes = [\"all\"]\n", {"f.toml:2", "listener.planes", "metrics"});
  expect_fault("[[listener]]\nplanes = []\n", {"listener.planes"});
  expect_fault("[backup]\nbytes_per_s_max = 64\n", {"f.toml:2", "backup.bytes_per_s_max", "0 or at least 65536"});
  expect_fault("server = 1\n", {"f.toml:1", "server", "table"});
}

TEST(Config, WhatIsNoTomlIsNamedWithItsLine) {
  expect_fault("\n[server\n", {"f.toml:2"});
}

TEST(Config, ListenAddresses) {
  EXPECT_EQ(parse_listener("127.0.0.1:81").port, 81);
  EXPECT_EQ(parse_listener("[::1]:81").host, "::1");
  for (const char* wrong : {"", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":80", "::1:80"}) {
    EXPECT_THROW(parse_listener(wrong), ConfigError) << wrong;
  }
}

}  // namespace
}  // namespace watchword::app
