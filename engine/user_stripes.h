// One lock a user, near enough: who changes a user's registration holds it from reading the row to publishing the block, so
// that two such changes never interleave. A verification takes none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace watchword::engine {

class UserStripes {
 public:
  // By hash_user().
  std::unique_lock<std::mutex> lock(std::uint64_t hash) { return std::unique_lock(of(hash)); }
  std::unique_lock<std::mutex> try_lock(std::uint64_t hash) { return {of(hash), std::try_to_lock}; }

 private:
  std::mutex& of(std::uint64_t hash) { return stripes_[(hash >> 8) % stripes_.size()]; }
  std::array<std::mutex, 1024> stripes_;
};

}  // namespace watchword::engine
