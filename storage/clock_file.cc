#include "storage/clock_file.h"

#include <charconv>

#include "storage/files.h"
#include "storage/open.h"

namespace watchword::storage {

std::filesystem::path clock_file(const std::filesystem::path& data_dir) {
  return data_dir / "CLOCK";
}

std::optional<engine::UnixMillis> read_clock(const std::filesystem::path& data_dir) {
  const std::optional<std::string> text = read_file(clock_file(data_dir));
  if (!text) return std::nullopt;
  engine::UnixMillis latest;
  const char* const end = text->data() + text->size();
  const auto [stop, fault] = std::from_chars(text->data(), end, latest.value);
  if (fault != std::errc{} || stop == end || *stop != '\n' || latest.value < 0) return std::nullopt;
  return latest;
}

void write_clock(const std::filesystem::path& data_dir, engine::UnixMillis latest) {
  write_file_durably(clock_file(data_dir), std::to_string(latest.value) + "\n");
}

}  // namespace watchword::storage
