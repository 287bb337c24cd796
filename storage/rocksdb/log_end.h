// Where a write-ahead log ends, in a file that was laid out ahead with zeros (log_files.h).
//
// A file that grows as it is written ends where the log does, whatever a crash does. In one that is overwritten, a power
// failure may leave later pages of what was not synced yet and lose earlier ones, which looks like damage in the middle.
// So every group commit says in the log how much of it was synced before: a mark. Where a record is bad, and no mark behind
// it says that it had been synced, it was promised to nobody, and the log ends before it. Otherwise it is damage.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace watchword::storage {

// Says: of the log of that number so many bytes are synced.
struct LogMark {
  std::uint64_t number = 0;
  std::uint64_t synced = 0;

  static constexpr std::size_t encoded_bytes = 32;
  std::array<char, encoded_bytes> encode() const noexcept;
};

struct LogEnd {
  std::uint64_t bytes = 0;                  // from the file's beginning to the log's end
  bool torn = false;                        // behind that there is something else than zeros
  std::optional<std::uint64_t> damaged_at;  // what had been synced is not what was written, from there on
  std::uint64_t synced = 0;                 // the most that a mark says; 0: there is none
};

// Blocks of 32 KiB with records of a CRC32C each, as RocksDB writes them. `read` fills the block with what comes next in
// the file and says how many bytes that were: fewer at its end. A log without a mark before its first bad record is taken
// for whole, as one that nobody laid out ahead: RocksDB judges it.
LogEnd find_log_end(std::uint64_t number, const std::function<std::size_t(std::span<char>)>& read);

}  // namespace watchword::storage
