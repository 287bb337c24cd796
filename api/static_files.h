// The built pages of portal and console: read into memory once, at start, and served from there with their compressed twins.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/message.h"

namespace watchword::api {

class StaticFiles {
 public:
  static constexpr std::size_t bytes_max = 64 << 20;  // of all files; the build has a hundredth of it

  // A folder that is not there holds no files. Throws std::runtime_error for one that is too large or cannot be read.
  explicit StaticFiles(const std::filesystem::path& folder);

  // GET or HEAD of a path (no query). A path under /portal/ or /console/ without a dot is a page of the application: its
  // index.html.
  Response serve(std::string_view path, std::string_view head) const;
  bool empty() const { return files_.empty(); }

 private:
  struct File {
    std::string content, etag;
  };
  const File* find(const std::string& path) const;

  std::map<std::string, File, std::less<>> files_;  // by path: "/assets/app-3f2a.js"
};

}  // namespace watchword::api
