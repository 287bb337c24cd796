// Where a write-ahead log ends, in a file that was laid out ahead with zeros (log_files.h).
//
// A file that grows as it is written ends where the log does, whatever a crash does. In one that is overwritten, a power
// failure may leave later pages of what was not synced yet and lose earlier ones, which looks like damage in the middle.
// So every group commit and the end of every fold say in the log how much of it was synced before: a mark. Where a record is
// bad and a mark says that it had been synced, that is damage. Where none does, nobody can have been answered but whoever
// waited for the last sync before the crash, whose mark would be the next: the log ends before the bad record.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

namespace watchword::storage {

// Of two logs, the one that is written and the one before it, how much there is and how much of that is synced, in bytes.
struct LogMark {
  std::uint64_t number = 0;
  std::uint64_t synced = 0;
  std::uint64_t number_before = 0;  // 0: none that this process wrote
  std::uint64_t synced_before = 0;
  std::uint64_t size_before = 0;

  static constexpr std::size_t encoded_bytes = 16 + 5 * sizeof(std::uint64_t);
  std::array<char, encoded_bytes> encode() const noexcept;
};

// What a file says about itself.
struct LogEnd {
  std::uint64_t bytes = 0;              // of the file
  std::optional<std::uint64_t> bad_at;  // where the first record begins that is none; zeros count as such
  bool torn = false;                    // from there on there is something else than zeros
  bool cut_short = false;               // that is the beginning of one record, as a write leaves it that did not end
  bool marked = false;                  // there is a mark of this log before that
  LogMark mark;                         // the most that all its marks say
};

// Of a bad record: its header, 7 bytes, can be written and synced before the rest of it.
inline constexpr std::uint64_t log_header_bytes = 7;

// Blocks of 32 KiB with records of a CRC32C each, as RocksDB writes them. `read` fills the block with what comes next in
// the file and says how many bytes that were: fewer at its end.
LogEnd find_log_end(std::uint64_t number, const std::function<std::size_t(std::span<char>)>& read);

}  // namespace watchword::storage
