// The command line: which command, with which configuration. Flags win over the file.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <limits>

#include "api/log.h"
#include "app/commands.h"

namespace {

using namespace watchword;

constexpr int wrong_usage = 2;

struct Arguments {
  std::string config_file;
  std::string data_dir;
  std::vector<std::string> listen;
  app::ImportOptions import_options;
  std::string format = "csv";
  app::ExportOptions export_options;
  app::KeyOptions key_options;
  std::string key_id;
  std::string key_overlap;
  app::RemoteOptions remote;
  std::string backup_dir;
  std::uint32_t backup_id = 0;
  std::string audit_head_file;
  std::string new_master_key_file;
  bool as_json = false;
};

struct LogScope {
  explicit LogScope(const std::string& level) { api::set_up_log(level); }
  ~LogScope() { api::close_log(); }
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;
};

app::Config configure(const Arguments& arguments) {
  app::Config config = arguments.config_file.empty() ? app::default_config() : app::read_config(arguments.config_file);
  if (!arguments.data_dir.empty()) config.store.data_dir = arguments.data_dir;
  if (!arguments.listen.empty()) {
    config.server.listeners.clear();
    for (const std::string& address : arguments.listen) config.server.listeners.push_back(app::parse_listener(address));
  }
  return config;
}

// Whatever is wrong with the configuration is a finding, and no fault.
int examine(const Arguments& arguments) {
  const LogScope quiet("error");
  return app::run_doctor([&] { return configure(arguments); }, arguments.as_json);
}

// A value that the command line itself can tell is wrong.
CLI::Validator checked(const char* description, void (*check)(const std::string&)) {
  return CLI::Validator(
      [check](const std::string& text) {
        try {
          check(text);
        } catch (const std::exception& fault) {
          return std::string(fault.what());
        }
        return std::string();
      },
      description);
}

void take_data_dir(CLI::App* command, Arguments& arguments) {
  command->add_option("--config", arguments.config_file, "Configuration file (TOML)");
  command->add_option("--data-dir", arguments.data_dir, "Data directory");
}

// Instead of a data directory of one's own.
void take_url(CLI::App* command, Arguments& arguments) {
  CLI::Option* const url =
      command->add_option("--url", arguments.remote.url, "A running server, https://HOST:PORT; its key in WATCHWORD_API_KEY")
          ->check(checked("URL", app::check_server_url));
  url->excludes(command->get_option("--data-dir"));
  command->add_option("--ca-file", arguments.remote.ca_file, "PEM file: who signed that server's certificate")->needs(url);
}

// The key is in the environment, where other users of the machine do not see it, as they would on the command line.
bool take_key(Arguments& arguments) {
  const char* const key = std::getenv("WATCHWORD_API_KEY");
  arguments.remote.api_key = key != nullptr ? key : "";
  const bool printable = std::all_of(arguments.remote.api_key.begin(), arguments.remote.api_key.end(),
                                     [](char c) { return c > ' ' && c < 0x7f; });
  if (!arguments.remote.api_key.empty() && printable) return true;
  std::fprintf(stderr, "watchword: set WATCHWORD_API_KEY to an API key with the scope admin of that server\n");
  return false;
}

int run(int argc, char** argv) {
  Arguments arguments;
  CLI::App program{"Watchword registers authenticator apps and verifies their codes."};
  program.set_version_flag("--version", std::string("watchword ") + WATCHWORD_VERSION);
  program.require_subcommand(1);

  CLI::App* const init = program.add_subcommand("init", "Make a data directory, its master key and the first admin API key");
  take_data_dir(init, arguments);
  CLI::App* const serve = program.add_subcommand("serve", "Run the server in the foreground");
  take_data_dir(serve, arguments);
  serve->add_option("--listen", arguments.listen, "Address with all planes; may be repeated")
      ->check(checked("HOST:PORT", [](const std::string& text) { app::parse_listener(text); }));

  CLI::App* const import =
      program.add_subcommand("import", "Register devices from a CSV file: user,name,secret,algorithm,digits,period");
  take_data_dir(import, arguments);
  import->add_option("FILE", arguments.import_options.file, "The file, or - for standard input")->required();
  import->add_option("--format", arguments.format, "csv")->check(CLI::IsMember({"csv"}));
  import->add_flag("--allow-short-secrets", arguments.import_options.allow_short_secrets,
                   "Take secrets of 10 to 15 bytes too (old estates; RFC 4226 asks for 16)");
  take_url(import, arguments);
  CLI::App* const export_command = program.add_subcommand("export", "Write all active devices as CSV");
  take_data_dir(export_command, arguments);
  take_url(export_command, arguments);
  export_command
      ->add_flag("--with-secrets", arguments.export_options.with_secrets,
                 "Write the secrets too, in the clear; only from a data directory")
      ->excludes(export_command->get_option("--url"));
  export_command->add_option("--output", arguments.export_options.output, "File to write (0600); standard output if absent");
  export_command->add_option("--format", arguments.format, "csv")->check(CLI::IsMember({"csv"}));

  CLI::App* const backup = program.add_subcommand("backup", "Add a verified backup to a directory of backups");
  take_data_dir(backup, arguments);
  take_url(backup, arguments);
  backup->add_option("DIR", arguments.backup_dir, "Where the backups are; a running server has its own place")
      ->excludes(backup->get_option("--url"));
  CLI::App* const restore = program.add_subcommand("restore", "Make a new data directory from a backup");
  take_data_dir(restore, arguments);
  restore->add_option("DIR", arguments.backup_dir, "Where the backups are")->required();
  restore->add_option("--backup", arguments.backup_id, "Which one; the newest if absent")
      ->check(CLI::Range(std::uint32_t{1}, std::numeric_limits<std::uint32_t>::max()));

  CLI::App* const keys = program.add_subcommand("api-key", "Create, list, rotate and revoke API keys");
  keys->require_subcommand(1);
  const CLI::Validator duration = checked("DURATION", [](const std::string& text) { app::parse_duration_s(text); });
  CLI::App* const create = keys->add_subcommand("create", "Make a key and print it, once");
  take_data_dir(create, arguments);
  create->add_option("--scope", arguments.key_options.scopes, "What it may be used for; may be repeated")
      ->check(CLI::IsMember({"verify", "enroll", "read", "admin", "audit", "metrics"}))
      ->required()
      ->delimiter(',');
  create->add_option("--name", arguments.key_options.name, "What the key is for")->required();
  create->add_option("--expires-in", arguments.key_options.expires_in, "Its lifetime, such as 90d; for ever if absent")
      ->check(duration);
  create
      ->add_option("--address-range", arguments.key_options.address_ranges,
                   "Network that it may be used from, such as 10.0.0.0/8; may be repeated; from anywhere if absent")
      ->delimiter(',');
  create
      ->add_option("--requests-per-second", arguments.key_options.requests_per_second, "Its rate; without a limit if absent")
      ->check(CLI::Range(std::uint32_t{1}, api::AccessKeys::requests_per_second_max));
  CLI::App* const list = keys->add_subcommand("list", "List keys, without their secrets");
  take_data_dir(list, arguments);
  CLI::App* const rotate = keys->add_subcommand("rotate", "Give a key a new secret and print it, once");
  take_data_dir(rotate, arguments);
  rotate->add_option("ID", arguments.key_id, "The key's id, as listed")->required();
  rotate->add_option("--overlap", arguments.key_overlap, "How long the old one goes on counting; 1d if absent")
      ->check(duration);
  rotate->add_option("--expires-in", arguments.key_options.expires_in, "A new lifetime from now on; its end stays if absent")
      ->check(duration);
  CLI::App* const revoke = keys->add_subcommand("revoke", "Revoke a key");
  take_data_dir(revoke, arguments);
  revoke->add_option("ID", arguments.key_id, "The key's id, as listed")->required();

  CLI::App* const store_keys = program.add_subcommand("keys", "Show and rotate the keys that seal the secrets");
  store_keys->require_subcommand(1);
  const auto take_keys_options = [&](CLI::App* command) {
    take_data_dir(command, arguments);
    take_url(command, arguments);
  };
  CLI::App* const keys_rotate = store_keys->add_subcommand("rotate", "Make a new data key and seal every secret anew");
  take_keys_options(keys_rotate);
  keys_rotate->add_option(
      "--new-master-key", arguments.new_master_key_file,
      "Take the master key in this file instead (64 hexadecimal digits; with --url, a file on the server)");
  CLI::App* const keys_show = store_keys->add_subcommand("show", "Show versions, ages and fingerprints as JSON");
  take_keys_options(keys_show);

  CLI::App* const doctor =
      program.add_subcommand("doctor", "Check configuration, files, keys, clock, disk, certificates and limits");
  take_data_dir(doctor, arguments);
  doctor->add_flag("--json", arguments.as_json, "As one JSON object");

  CLI::App* const audit = program.add_subcommand("audit", "Check and read the audit trail, while no server runs");
  audit->require_subcommand(1);
  CLI::App* const audit_verify = audit->add_subcommand("verify", "Check every entry against the one before it");
  take_data_dir(audit_verify, arguments);
  audit_verify->add_option("--head", arguments.audit_head_file, "File with what audit head printed: shows a cut end too");
  CLI::App* const audit_head = audit->add_subcommand("head", "Print one line that stands for the trail; keep it elsewhere");
  take_data_dir(audit_head, arguments);
  CLI::App* const audit_export = audit->add_subcommand("export", "Write the trail as JSON lines, oldest first");
  take_data_dir(audit_export, arguments);

  try {
    program.parse(argc, argv);
    if (doctor->parsed()) return examine(arguments);
  } catch (const CLI::Success& asked) {
    return program.exit(asked);
  } catch (const CLI::ParseError& fault) {
    program.exit(fault, std::cerr, std::cerr);
    return wrong_usage;
  }
  if (backup->parsed() && arguments.backup_dir.empty() && arguments.remote.url.empty()) {
    std::fprintf(stderr, "watchword: name the directory for the backup, or a running server with --url\n");
    return wrong_usage;
  }
  if (!arguments.remote.url.empty()) {
    if (!take_key(arguments)) return wrong_usage;
    if (keys_rotate->parsed()) return app::run_remote_keys_rotate(arguments.remote, arguments.new_master_key_file);
    if (keys_show->parsed()) return app::run_remote_keys_show(arguments.remote);
    if (import->parsed()) return app::run_remote_import(arguments.remote, arguments.import_options);
    if (export_command->parsed()) return app::run_remote_export(arguments.remote, arguments.export_options);
    return app::run_remote_backup(arguments.remote);
  }
  const app::Config config = configure(arguments);
  const LogScope log(config.log.level);
  if (init->parsed()) return app::run_init(config);
  if (serve->parsed()) return app::run_serve(config);
  if (import->parsed()) return app::run_import(config, arguments.import_options);
  if (export_command->parsed()) return app::run_export(config, arguments.export_options);
  if (backup->parsed()) return app::run_backup(config, arguments.backup_dir);
  if (restore->parsed()) return app::run_restore(config, arguments.backup_dir, arguments.backup_id);
  if (audit_verify->parsed()) return app::run_audit_verify(config, arguments.audit_head_file);
  if (audit_head->parsed()) return app::run_audit_head(config);
  if (audit_export->parsed()) return app::run_audit_export(config);
  if (keys_rotate->parsed()) return app::run_keys_rotate(config, arguments.new_master_key_file);
  if (keys_show->parsed()) return app::run_keys_show(config);
  if (create->parsed()) return app::run_key_create(config, arguments.key_options);
  if (list->parsed()) return app::run_key_list(config);
  if (rotate->parsed()) {
    return app::run_key_rotate(config, arguments.key_id, arguments.key_overlap, arguments.key_options.expires_in);
  }
  return app::run_key_revoke(config, arguments.key_id);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "watchword: %s\n", fault.what());
    return 1;
  }
}
