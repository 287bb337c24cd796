// Counts what the calling thread allocates, in the whole test program.
#pragma once

#include <cstdint>

namespace watchword::engine::test {

std::uint64_t allocations_of_this_thread();

}  // namespace watchword::engine::test
