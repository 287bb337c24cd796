// What the server says about itself: the OpenAPI document (api/openapi.json, part of the program) and pages made of it for
// people. The pages need no script, and nothing from anywhere else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/message.h"

namespace watchword::api {

std::string_view openapi_text();

// HTML of an OpenAPI document. Throws std::exception on what is none.
std::string docs_page(std::string_view openapi);
std::string_view docs_style();

// Made once; any thread.
class ApiDocuments {
 public:
  ApiDocuments();
  static bool has(std::string_view path) { return path == "/openapi.json" || path == "/docs" || path == "/docs/style.css"; }
  // For a path that has() knows.
  const Response& at(std::string_view path) const;

 private:
  Response openapi_;
  Response page_;
  Response style_;
};

}  // namespace watchword::api
