// CLOCK in the data directory: the latest wall-clock time that a server here has known, in milliseconds since 1970, newline.
// A start with an earlier clock tells by it that the clock is wrong now, or was wrong then.
#pragma once

#include <filesystem>
#include <optional>

#include "engine/types.h"

namespace watchword::storage {

std::filesystem::path clock_file(const std::filesystem::path& data_dir);
// nullopt: there is none, or it says nothing that could be a time.
std::optional<engine::UnixMillis> read_clock(const std::filesystem::path& data_dir);
// Throws OpenError.
void write_clock(const std::filesystem::path& data_dir, engine::UnixMillis latest);

}  // namespace watchword::storage
