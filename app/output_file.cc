#include "app/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace watchword::app {

OutputFile::OutputFile(const std::string& path) : path_(path.empty() ? "standard output" : path) {
  if (path.empty()) {
    file_ = stdout;
    return;
  }
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::runtime_error("cannot make " + path_ + ": " + std::strerror(errno));
  file_ = fdopen(descriptor, "w");
  if (file_ == nullptr) throw std::runtime_error("cannot write " + path_);
}

OutputFile::~OutputFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void OutputFile::line(std::string text) {
  text += '\n';
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail();
}

void OutputFile::finish() {
  if (std::fflush(file_) != 0) fail();
  if (file_ == stdout) return;
  if (fsync(fileno(file_)) != 0) fail();
}

bool OutputFile::on_terminal() const {
  return isatty(fileno(file_)) != 0;
}

void OutputFile::fail() const {
  throw std::runtime_error("cannot write " + path_ + ": " + std::strerror(errno));
}

}  // namespace watchword::app
