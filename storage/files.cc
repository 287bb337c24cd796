#include "storage/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "storage/open.h"

namespace watchword::storage {
namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path) {
  throw OpenError(what + " " + path.string() + ": " + std::strerror(errno));
}

struct File {
  int number;
  explicit File(int opened) : number(opened) {}
  ~File() {
    if (number >= 0) close(number);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
};

void write_all(int file, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write", path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

void write_file_durably(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path beside = path.string() + ".new";
  {
    const File file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number < 0) fail("cannot create", beside);
    write_all(file.number, content, beside);
    if (fsync(file.number) != 0) fail("cannot sync", beside);
  }
  if (rename(beside.c_str(), path.c_str()) != 0) fail("cannot rename to", path);
  const File directory(open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number < 0 || fsync(directory.number) != 0) fail("cannot sync", path.parent_path());
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0 && errno == ENOENT) return std::nullopt;
  if (file.number < 0) fail("cannot read", path);
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t bytes = read(file.number, buffer, sizeof buffer);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) fail("cannot read", path);
    if (bytes == 0) return content;
    content.append(buffer, static_cast<std::size_t>(bytes));
  }
}

DirectoryLock::DirectoryLock(const std::filesystem::path& data_dir) {
  const std::filesystem::path path = data_dir / "watchword.lock";
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file_ < 0) fail("cannot open", path);
  if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    std::string owner = read_file(path).value_or("");
    while (!owner.empty() && owner.back() == '\n') owner.pop_back();
    close(file_);
    throw OpenError(
        "the data directory " + data_dir.string() + " is in use by process " + (owner.empty() ? "?" : owner) +
        "; only one process may have it. Stop that one first, or ask the running server over its REST interface");
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(file_, 0) != 0) fail("cannot write", path);
  write_all(file_, pid, path);
}

DirectoryLock::~DirectoryLock() {
  if (file_ < 0) return;
  if (ftruncate(file_, 0) != 0) errno = 0;  // a stale number in the file misleads nobody: the lock itself is what counts
  close(file_);
}

}  // namespace watchword::storage
