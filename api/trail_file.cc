#include "api/trail_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <boost/json.hpp>

#include "api/audit_json.h"
#include "api/log.h"

namespace watchword::api {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

TrailFile::~TrailFile() {
  if (file_ >= 0) close(file_);
}

bool TrailFile::still_there() const {
  struct stat named {};
  struct stat held {};
  return file_ >= 0 && stat(path_.c_str(), &named) == 0 && fstat(file_, &held) == 0 && named.st_ino == held.st_ino &&
         named.st_dev == held.st_dev;
}

void TrailFile::open() {
  if (file_ >= 0) close(std::exchange(file_, -1));
  // Not blocking: a pipe without a reader would hold the thread for ever; it is refused below.
  const int opened = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
  if (opened < 0) throw_errno("cannot open " + path_.string());
  struct stat about {};
  if (fstat(opened, &about) != 0 || !S_ISREG(about.st_mode)) {
    close(opened);
    throw std::runtime_error(path_.string() + " is no regular file");
  }
  file_ = opened;
  // What a crash cut off in a line's middle becomes a line of its own; the whole line follows.
  char last = '\n';
  if (about.st_size > 0 && pread(file_, &last, 1, about.st_size - 1) == 1 && last != '\n') write("\n");
}

// All of it or nothing.
void TrailFile::write(const std::string& text) {
  const off_t before = lseek(file_, 0, SEEK_END);
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(file_, text.data() + written, text.size() - written);
    if (count > 0) {
      written += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      const int fault = errno;
      if (before >= 0 && written > 0 && ftruncate(file_, before) != 0) close(std::exchange(file_, -1));
      errno = fault;
      throw_errno("cannot write " + path_.string());
    }
  }
}

Delivery TrailFile::deliver(std::span<const engine::AuditRow> rows, unsigned attempt) {
  std::string text;
  for (const engine::AuditRow& row : rows) text += boost::json::serialize(audit_object(row)) + "\n";
  try {
    if (reopen_.exchange(false, std::memory_order_relaxed) || !still_there()) open();
    write(text);
    if (fdatasync(file_) != 0) throw_errno("cannot sync " + path_.string());
    if (attempt > 1) log(Level::info, "the audit stream goes on", {{"file", path_.string()}});
    return {.taken = rows.size()};
  } catch (const std::exception& fault) {
    log(Level::error, "the audit stream stands still", {{"reason", std::string(fault.what())}});
    return {.taken = 0, .rest = Delivery::Rest::holds};
  }
}

}  // namespace watchword::api
