// The commands of the binary. Each returns the exit code (0 success, 1 failure) or throws what main() turns into one line on
// stderr.
#pragma once

#include <cstdint>
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

int run_key_create(const Config& config, const std::string& name, const std::vector<std::string>& scopes);
int run_key_list(const Config& config);
int run_key_revoke(const Config& config, const std::string& id);

}  // namespace watchword::app
