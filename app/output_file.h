// Where an export goes. Every fault of writing is an exception, so that a cut file is never taken for a whole one.
#pragma once

#include <cstdio>
#include <string>

namespace watchword::app {

class OutputFile {
 public:
  // Empty: standard output. Else a new file for the owner alone, never over one that somebody else may read.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void line(std::string text);
  // On disk.
  void finish();
  // A person sees every line.
  bool on_terminal() const;

 private:
  [[noreturn]] void fail() const;
  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace watchword::app
