#include "api/api_documents.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include <boost/json.hpp>

#include "api/admin_plane.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::set<std::string> described() {
  const json::value document = json::parse({openapi_text().data(), openapi_text().size()});
  std::set<std::string> operations;
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      operations.insert(std::string(std::string_view(method)) + " " + std::string(std::string_view(path)));
    }
  }
  return operations;
}

TEST(ApiDocuments, DescribeEveryOperationThatThereIsAndNoOther) {
  // Those that are not the administrative plane's, by routes.cc.
  std::set<std::string> served = {"post /v1/verify", "post /v1/verify/batch", "get /healthz",
                                  "get /readyz",     "get /metrics",          "get /openapi.json"};
  for (const auto& [method, pattern] : AdminPlane::operations()) {
    served.insert(lower(std::string(to_string(method))) + " " + std::string(pattern));
  }
  EXPECT_EQ(described(), served);
}

TEST(ApiDocuments, ThePageNamesEveryOperationAndNeedsNoScript) {
  const std::string page = docs_page(openapi_text());
  const json::value document = json::parse({openapi_text().data(), openapi_text().size()});
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    for (const auto& [method, operation] : methods.as_object()) {
      const std::string id(operation.at("operationId").as_string());
      EXPECT_NE(page.find("<section id=\"" + id + "\">"), std::string::npos) << id;
      EXPECT_NE(page.find("href=\"#" + id + "\""), std::string::npos) << id;
    }
  }
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("style="), std::string::npos);
  EXPECT_EQ(page.find("@PROJECT"), std::string::npos);
}

TEST(ApiDocuments, ThePageEscapesWhatItShows) {
  const std::string page = docs_page(R"({"openapi":"3.1.0","info":{"title":"<a&b>","version":"1"},"tags":[],"paths":{},)"
                                     R"("components":{"securitySchemes":{},"schemas":{}}})");
  EXPECT_NE(page.find("&lt;a&amp;b&gt; API"), std::string::npos);
  EXPECT_EQ(page.find("<a&b>"), std::string::npos);
}

}  // namespace
}  // namespace watchword::api
