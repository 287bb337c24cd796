// One lock a user, near enough: who changes a user's registration holds it from reading the row to publishing the block, so
// that two such changes never interleave. A verification takes none.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace watchword::engine {

class UserStripes {
 public:
  // By hash_user().
  std::unique_lock<std::mutex> lock(std::uint64_t hash) { return std::unique_lock(of(hash)); }
  std::unique_lock<std::mutex> try_lock(std::uint64_t hash) { return {of(hash), std::try_to_lock}; }
  // Of several users at once, each stripe once and in one order, so that two such callers never wait for each other.
  std::vector<std::unique_lock<std::mutex>> lock_all(std::span<const std::uint64_t> hashes) {
    std::vector<std::mutex*> stripes;
    stripes.reserve(hashes.size());
    for (const std::uint64_t hash : hashes) stripes.push_back(&of(hash));
    std::sort(stripes.begin(), stripes.end());
    stripes.erase(std::unique(stripes.begin(), stripes.end()), stripes.end());
    std::vector<std::unique_lock<std::mutex>> held;
    held.reserve(stripes.size());
    for (std::mutex* const one : stripes) held.emplace_back(*one);
    return held;
  }

 private:
  std::mutex& of(std::uint64_t hash) { return stripes_[(hash >> 8) % stripes_.size()]; }
  std::array<std::mutex, 1024> stripes_;
};

}  // namespace watchword::engine
