#pragma once

#include <cstddef>

namespace watchword::app {

// What this process may use: of the machine, or of its control group where that is less.
std::size_t machine_memory_bytes();

}  // namespace watchword::app
