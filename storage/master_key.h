// Where the master key comes from. It is read when a store is opened and when keys are rotated, and wiped once the keys that
// it seals are open.
//
//   master key := 64 hexadecimal digits, optionally a newline
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/types.h"
#include "storage/open.h"

namespace watchword::storage {

inline constexpr std::chrono::seconds master_key_command_timeout{30};
// As many bytes as a command may say; a key has 65.
inline constexpr std::size_t master_key_command_bytes_max = 4096;

// The file that holds the key: the configured one, else the credential "master.key" that systemd laid out
// (LoadCredential=), else master.key in the data directory. nullopt: a command says it. Throws OpenError where there are
// credentials that cannot be looked at.
std::optional<std::filesystem::path> master_key_file(const RocksStoreOptions& options);

// Makes the file (0600) unless there is one or a command is configured; checks the key either way. Throws OpenError.
void ensure_master_key(const RocksStoreOptions& options);
// Throws OpenError: missing, readable by others, not a key; a command that fails, says something else or takes too long.
engine::SecretBytes read_master_key(const RocksStoreOptions& options);
engine::SecretBytes read_master_key_file(const std::filesystem::path& file);
// Standard output of the program, run without a shell: argv[0] is looked for on the PATH. Throws OpenError.
engine::SecretBytes ask_for_master_key(const std::vector<std::string>& argv,
                                       std::chrono::milliseconds timeout = master_key_command_timeout);

// The file that held the old key holds the new one, and the old one stands beside it as FILE.old. A crash at any point
// leaves FILE with either. Throws OpenError.
void replace_master_key_file(const std::filesystem::path& file, const engine::SecretBytes& key);

// Sixteen hexadecimal digits that tell master keys apart and say nothing about them.
std::string fingerprint(const engine::SecretBytes& master_key);

}  // namespace watchword::storage
