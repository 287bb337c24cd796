// FENCE in the data directory: milliseconds since 1970 in decimal, newline. It outlives restarts and whatever became of the
// database. Once the clock has passed it it harms nobody, and stays.
#pragma once

#include <filesystem>

#include "engine/types.h"

namespace watchword::storage {

// Never lowers one that is there. Throws OpenError.
void raise_fence(const std::filesystem::path& data_dir, engine::UnixMillis until);
// Zero: there is none. Throws OpenError where it cannot be understood.
engine::UnixMillis read_fence(const std::filesystem::path& data_dir);

}  // namespace watchword::storage
