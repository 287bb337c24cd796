#include "storage/fence_file.h"

#include <charconv>

#include "storage/files.h"
#include "storage/open.h"

namespace watchword::storage {
namespace {

std::filesystem::path fence_file(const std::filesystem::path& data_dir) {
  return data_dir / "FENCE";
}

}  // namespace

void raise_fence(const std::filesystem::path& data_dir, engine::UnixMillis until) {
  if (read_fence(data_dir) >= until) return;
  write_file_durably(fence_file(data_dir), std::to_string(until.value) + "\n");
}

engine::UnixMillis read_fence(const std::filesystem::path& data_dir) {
  const std::optional<std::string> text = read_file(fence_file(data_dir));
  if (!text) return {};
  engine::UnixMillis until;
  const char* const end = text->data() + text->size();
  const auto [stop, fault] = std::from_chars(text->data(), end, until.value);
  if (fault != std::errc{} || stop == end || *stop != '\n' || until.value < 0) {
    throw OpenError(
        fence_file(data_dir).string() +
        " is damaged; it says until when codes are refused. Write the present time in milliseconds since 1970 there");
  }
  return until;
}

}  // namespace watchword::storage
