#include "api/static_files.h"

#include <array>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "api/base64.h"
#include "api/browser.h"
#include "api/digest.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

constexpr std::size_t etag_bytes = 16;

std::string_view content_type(std::string_view path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 13> types = {{
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".webp", "image/webp"},
      {".ico", "image/x-icon"},
      {".json", "application/json"},
      {".webmanifest", "application/manifest+json"},
      {".woff2", "font/woff2"},
      {".wasm", "application/wasm"},
      {".txt", "text/plain; charset=utf-8"},
      {".map", "application/json"},
  }};
  for (const auto& [ending, type] : types) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return std::move(text).str();
}

bool is_page(std::string_view path) {
  const bool ours = path.starts_with("/portal/") || path.starts_with("/console/");
  return ours && path.find('.') == std::string_view::npos;
}

bool matches(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

Response moved(std::string location) {
  Response response;
  response.status = 303;
  response.content_type = "text/plain; charset=utf-8";
  response.headers.emplace_back("Location", std::move(location));
  return response;
}

}  // namespace

StaticFiles::StaticFiles(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || !std::filesystem::is_directory(folder, error)) return;
  std::size_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    bytes += entry.file_size();
    if (bytes > bytes_max) throw std::runtime_error("the pages in " + folder.string() + " have more than 64 MiB");
    File file{.content = read(entry.path()), .etag = {}};
    file.etag = '"' + base64url_encode(std::string_view(sha256(file.content)).substr(0, etag_bytes)) + '"';
    files_.emplace("/" + entry.path().lexically_relative(folder).generic_string(), std::move(file));
  }
}

const StaticFiles::File* StaticFiles::find(const std::string& path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : &found->second;
}

Response StaticFiles::serve(std::string_view path, std::string_view head) const {
  if (path == "/portal" || path == "/console") return moved(std::string(path) + "/");
  std::string name(path);
  if (is_page(path)) name = std::string(path.substr(0, path.find('/', 1))) + "/index.html";
  const File* file = find(name);
  if (file == nullptr && is_page(path)) {
    return problem(404, "not_found", "The pages are not installed: portal.assets_dir holds none.");
  }
  if (file == nullptr) return problem(404, "not_found", "There is nothing at this path.");

  Response response;
  response.content_type = content_type(name);
  // A hashed name never changes its content. A page is not kept: going back to it after signing out asks for it again.
  const bool hashed = name.starts_with("/assets/");
  response.no_store = !hashed;
  if (hashed) response.headers.emplace_back("Cache-Control", "public, max-age=31536000, immutable");
  bool varies = false;
  for (const auto& [coding, ending] : {std::pair{"br", ".br"}, {"gzip", ".gz"}}) {
    const File* const twin = find(name + ending);
    if (twin == nullptr) continue;
    varies = true;
    if (!accepts_encoding(head, coding)) continue;
    response.headers.emplace_back("Content-Encoding", coding);
    file = twin;
    break;
  }
  if (varies) response.headers.emplace_back("Vary", "Accept-Encoding");
  response.headers.emplace_back("ETag", file->etag);
  if (matches(header_field(head, "If-None-Match").text, file->etag)) {
    response.status = 304;
  } else {
    response.body = file->content;
  }
  return response;
}

}  // namespace watchword::api
