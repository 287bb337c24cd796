#include "api/api_documents.h"

namespace watchword::api {
namespace {

Response document(std::string_view content_type, std::string body) {
  Response response;
  response.content_type = content_type;
  response.body = std::move(body);
  return response;
}

}  // namespace

ApiDocuments::ApiDocuments()
    : openapi_(document("application/json", std::string(openapi_text()))),
      page_(document("text/html; charset=utf-8", docs_page(openapi_text()))),
      style_(document("text/css; charset=utf-8", std::string(docs_style()))) {}

const Response& ApiDocuments::at(std::string_view path) const {
  if (path == "/openapi.json") return openapi_;
  return path == "/docs" ? page_ : style_;
}

}  // namespace watchword::api
