#include "storage/rocksdb/log_end.h"

#include <isa-l/crc.h>
#include <string.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace watchword::storage {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t block_bytes = 32 * 1024;
constexpr std::size_t page_bytes = 4096;
// Masked CRC32C of the type and the payload, length of the payload, type.
constexpr std::size_t header_bytes = log_header_bytes;
constexpr int last_type = 4;  // 1 to 4: a batch as a whole, or its first, middle or last part
// Two of these bytes stand in no UTF-8 text: no name that a client sends holds it.
constexpr std::string_view magic = "\xff\xfesynced\x9d\x11\xd3\x6a\xc4\x58\xfe\xff";
static_assert(magic.size() + 5 * sizeof(std::uint64_t) == LogMark::encoded_bytes);

template <typename T>
T read_number(std::string_view text, std::size_t at) {
  T value{};
  std::memcpy(&value, text.data() + at, sizeof value);
  return value;
}

std::uint32_t masked_crc(std::string_view text) {
  // The library only reads, but does not say so; and it leaves it to us to invert.
  auto* const bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
  const std::uint32_t crc = ~crc32_iscsi(bytes, static_cast<int>(text.size()), 0xffffffffU);
  return std::rotr(crc, 15) + 0xa282ead8U;
}

class Search {
 public:
  explicit Search(std::uint64_t number) { end_.mark.number = number; }

  void take(std::string_view block) {
    for (std::size_t at = 0; block.size() - at >= header_bytes;) {
      const std::string_view rest = block.substr(at);
      const std::size_t length = header_bytes + read_number<std::uint16_t>(rest, 4);
      const int type = static_cast<unsigned char>(rest[6]);
      const bool fits = type >= 1 && type <= last_type && length <= rest.size();
      if (fits && masked_crc(rest.substr(6, length - 6)) == read_number<std::uint32_t>(rest, 0)) {
        join(rest.substr(header_bytes, length - header_bytes));
      } else {
        if (!end_.bad_at) {
          end_.bad_at = end_.bytes + at;
          bad_end_ = *end_.bad_at + (at + length <= block_bytes ? length : header_bytes);
        }
        before_.clear();
        if (!fits) break;  // nothing says where the next one begins, but blocks begin with one
      }
      at += length;
    }
    // Also where it cannot be told any more where records begin: what was written after a sync says so, whole or not.
    look_for_marks(block);
    const std::size_t last = block.find_last_not_of('\0');
    if (last != std::string_view::npos && end_.bad_at && end_.bytes + last >= *end_.bad_at) {
      end_.torn = true;
      // Pages are written whole. What a record ends with may be zeros itself.
      const std::uint64_t written = (end_.bytes + last + page_bytes) / page_bytes * page_bytes;
      const bool file_ends = block.size() < block_bytes;
      end_.cut_short = (file_ends ? std::min(written, end_.bytes + block.size()) : written) < bad_end_;
    }
    end_.bytes += block.size();
  }

  const LogEnd& end() const { return end_; }

 private:
  // A mark may lie across two parts of a batch.
  void join(std::string_view payload) {
    constexpr std::size_t part_max = LogMark::encoded_bytes - 1;
    before_ += payload.substr(0, part_max);
    look_for_marks(before_);
    look_for_marks(payload);
    if (payload.size() > part_max) before_ = payload;
    if (before_.size() > part_max) before_.erase(0, before_.size() - part_max);
  }
  void look_for_marks(std::string_view text) {
    for (std::size_t at = text.find(magic); at != std::string_view::npos && text.size() - at >= LogMark::encoded_bytes;
         at = text.find(magic, at + 1)) {
      std::array<std::uint64_t, 5> said{};
      std::memcpy(said.data(), text.data() + at + magic.size(), sizeof said);
      LogMark& mark = end_.mark;
      if (said[0] != mark.number) continue;
      mark.synced = std::max(mark.synced, said[1]);
      mark.number_before = std::max(mark.number_before, said[2]);
      mark.synced_before = std::max(mark.synced_before, said[3]);
      mark.size_before = std::max(mark.size_before, said[4]);
      end_.marked |= !end_.bad_at;
    }
  }

  LogEnd end_;
  std::uint64_t bad_end_ = 0;  // of the first bad record, as its header has it
  std::string before_;         // the end of the payload before, where that was good
};

}  // namespace

std::array<char, LogMark::encoded_bytes> LogMark::encode() const noexcept {
  const std::array<std::uint64_t, 5> said = {number, synced, number_before, synced_before, size_before};
  std::array<char, encoded_bytes> text;
  std::memcpy(std::copy(magic.begin(), magic.end(), text.begin()), said.data(), sizeof said);
  return text;
}

LogEnd find_log_end(std::uint64_t number, const std::function<std::size_t(std::span<char>)>& read) {
  Search search(number);
  std::vector<char> block(block_bytes);
  for (;;) {
    const std::size_t bytes = read(block);
    search.take({block.data(), bytes});
    if (bytes < block.size()) return search.end();
  }
}

}  // namespace watchword::storage
