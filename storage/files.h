// Files that must survive a crash, and the lock that keeps a second process out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace watchword::storage {

// Written to a file beside it, synced, renamed over `path`, directory synced: afterwards there is the old content or the
// new. Mode 0600. Throws OpenError.
void write_file_durably(const std::filesystem::path& path, std::string_view content);

// nullopt: there is no such file. Throws OpenError on any other fault.
std::optional<std::string> read_file(const std::filesystem::path& path);

// One process a data directory. Throws OpenError, naming the other process, when it is taken. The lock ends with the
// process, however that ends.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::filesystem::path& data_dir);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace watchword::storage
