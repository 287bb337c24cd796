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
constexpr std::size_t header_bytes = 4 + 2 + 1;  // masked CRC32C of the type and the payload, length of the payload, type
constexpr int last_type = 4;                     // 1 to 4: a batch as a whole, or its first, middle or last part
// Two of these bytes stand in no UTF-8 text: no name that a client sends holds it.
constexpr std::string_view magic = "\xff\xfesynced\x9d\x11\xd3\x6a\xc4\x58\xfe\xff";
static_assert(magic.size() + 2 * sizeof(std::uint64_t) == LogMark::encoded_bytes);

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
  explicit Search(std::uint64_t number) : number_(number) {}

  void take(std::string_view block) {
    for (std::size_t at = 0; block.size() - at >= header_bytes;) {
      const std::string_view rest = block.substr(at);
      const std::size_t length = header_bytes + read_number<std::uint16_t>(rest, 4);
      const int type = rest[6];
      const bool fits = type >= 1 && type <= last_type && length <= rest.size();
      if (fits && masked_crc(rest.substr(6, length - 6)) == read_number<std::uint32_t>(rest, 0)) {
        join(rest.substr(header_bytes, length - header_bytes));
      } else {
        if (!bad_at_) bad_at_ = read_ + at;
        before_.clear();
        if (!fits) break;  // nothing says where the next one begins, but blocks begin with one
      }
      at += length;
    }
    // Also where it cannot be told any more where records begin: what was written after a sync says so, whole or not.
    look_for_marks(block, read_);
    const std::size_t last = block.find_last_not_of('\0');
    if (last != std::string_view::npos) used_ = read_ + last + 1;
    read_ += block.size();
  }

  LogEnd end() const {
    LogEnd end{.bytes = read_, .synced = synced_};
    if (!bad_at_) return end;
    end.torn = used_ > *bad_at_;
    if (end.torn && synced_ > *bad_at_) end.damaged_at = bad_at_;
    if (!end.torn || marked_) end.bytes = *bad_at_;
    return end;
  }

 private:
  // A mark may lie across two parts of a batch.
  void join(std::string_view payload) {
    constexpr std::size_t part_max = LogMark::encoded_bytes - 1;
    before_ += payload.substr(0, part_max);
    look_for_marks(before_, read_);
    if (payload.size() > part_max) before_ = payload;
    if (before_.size() > part_max) before_.erase(0, before_.size() - part_max);
  }
  void look_for_marks(std::string_view text, std::uint64_t offset) {
    for (std::size_t at = text.find(magic); at != std::string_view::npos && text.size() - at >= LogMark::encoded_bytes;
         at = text.find(magic, at + 1)) {
      if (read_number<std::uint64_t>(text, at + magic.size()) != number_) continue;
      synced_ = std::max(synced_, read_number<std::uint64_t>(text, at + magic.size() + sizeof(std::uint64_t)));
      if (!bad_at_ || offset + at < *bad_at_) marked_ = true;
    }
  }

  const std::uint64_t number_;
  std::uint64_t read_ = 0;
  std::optional<std::uint64_t> bad_at_;
  std::uint64_t used_ = 0;  // up to the last byte that is not zero
  std::uint64_t synced_ = 0;
  bool marked_ = false;  // before anything bad
  std::string before_;   // the end of the payload before, where that was good
};

}  // namespace

std::array<char, LogMark::encoded_bytes> LogMark::encode() const noexcept {
  std::array<char, encoded_bytes> text;
  char* at = std::copy(magic.begin(), magic.end(), text.begin());
  std::memcpy(at, &number, sizeof number);
  std::memcpy(at + sizeof number, &synced, sizeof synced);
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
