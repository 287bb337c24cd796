// The commands of the binary. Each returns the exit code (0 success, 1 failure) or throws what main() turns into one line on
// stderr.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/remote_server.h"

namespace watchword::app {

int run_init(const Config& config);
int run_serve(const Config& config);

struct ImportOptions {
  std::string file;  // "-": standard input
  bool allow_short_secrets = false;
};
int run_import(const Config& config, const ImportOptions& options);

struct ExportOptions {
  std::string output;  // empty: standard output
  bool with_secrets = false;
};
int run_export(const Config& config, const ExportOptions& options);

// Through a running server (remote_bulk.cc).
int run_remote_import(const RemoteOptions& remote, const ImportOptions& options);
int run_remote_export(const RemoteOptions& remote, const ExportOptions& options);
int run_remote_backup(const RemoteOptions& remote);

int run_backup(const Config& config, const std::string& directory);
// `backup` 0: the newest.
int run_restore(const Config& config, const std::string& directory, std::uint32_t backup);
// `head_file`: what run_audit_head printed once; empty: none.
int run_audit_verify(const Config& config, const std::string& head_file);
int run_audit_head(const Config& config);
int run_audit_export(const Config& config);

// `new_master_key_file` empty: a new data key. Of a running server, the file is one that the server reads.
int run_keys_rotate(const Config& config, const std::string& new_master_key_file);
int run_keys_show(const Config& config);
int run_remote_keys_rotate(const RemoteOptions& remote, const std::string& new_master_key_file);
int run_remote_keys_show(const RemoteOptions& remote);

// 0: all is well; 1: warnings; 2: something has to be mended. `configure` throws ConfigError, which is one of the findings.
int run_doctor(const std::function<Config()>& configure, bool json);

struct KeyOptions {
  std::string name;
  std::vector<std::string> scopes;
  std::string expires_in;  // "90d"; empty: never
  std::vector<std::string> address_ranges;
  std::uint32_t requests_per_second = 0;  // 0: no limit
};
// "90d", "12h", "30m", "45s" in seconds. Throws std::runtime_error.
std::int64_t parse_duration_s(const std::string& text);
int run_key_create(const Config& config, const KeyOptions& options);
int run_key_list(const Config& config);
// `expires_in` empty: the key's end stays.
int run_key_rotate(const Config& config, const std::string& id, const std::string& overlap, const std::string& expires_in);
int run_key_revoke(const Config& config, const std::string& id);

}  // namespace watchword::app
