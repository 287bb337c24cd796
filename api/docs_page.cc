// The OpenAPI document as a page. Everything in it is escaped, though all of it is ours.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/api_documents.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string_view text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

const json::object* object_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr ? value->if_object() : nullptr;
}

const json::array* array_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr ? value->if_array() : nullptr;
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

// "#/components/schemas/Device" is Device.
std::string_view last_part(std::string_view reference) {
  return reference.substr(reference.rfind('/') + 1);
}

class Page {
 public:
  explicit Page(const json::object& document) : document_(document), components_(document.at("components").as_object()) {}

  std::string html() {
    const json::object& info = document_.at("info").as_object();
    out_ += fmt::format(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\"><title>{0} API</title><link rel=\"stylesheet\" "
        "href=\"/docs/style.css\"></head>\n<body><header><h1>{0} API <small>{1}</small></h1><p>{2}</p><p>{3}</p><p>The same "
        "for "
        "programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI {4}).</p></header>\n",
        escaped(text_of(info, "title")), escaped(text_of(info, "version")), escaped(text_of(info, "summary")),
        escaped(text_of(info, "description")), escaped(text_of(document_, "openapi")));
    contents();
    out_ += "<main>\n";
    for (const json::value& tag : document_.at("tags").as_array()) group(text_of(tag.as_object(), "name"));
    security();
    out_ += "<h2 id=\"schemas\">Schemas</h2>\n";
    for (const auto& [name, schema] : components_.at("schemas").as_object()) {
      out_ += fmt::format("<section id=\"schema-{0}\"><h3>{0}</h3>\n", escaped(name));
      describe(schema.as_object());
      out_ += "</section>\n";
    }
    out_ += "</main></body></html>\n";
    return std::move(out_);
  }

 private:
  template <class Visit>
  void for_each_operation(std::string_view tag, Visit visit) {
    for (const auto& [path, methods] : document_.at("paths").as_object()) {
      for (const auto& [method, operation] : methods.as_object()) {
        const json::object& one = operation.as_object();
        if (one.at("tags").as_array().at(0).as_string() == tag) visit(path, method, one);
      }
    }
  }

  void contents() {
    out_ += "<nav aria-label=\"Operations\">\n";
    for (const json::value& tag : document_.at("tags").as_array()) {
      const std::string_view name = text_of(tag.as_object(), "name");
      out_ += fmt::format("<h2>{}</h2><ul>\n", escaped(name));
      for_each_operation(name, [&](std::string_view, std::string_view, const json::object& one) {
        out_ += fmt::format("<li><a href=\"#{}\">{}</a></li>\n", escaped(text_of(one, "operationId")),
                            escaped(text_of(one, "summary")));
      });
      out_ += "</ul>\n";
    }
    out_ +=
        "<h2>More</h2><ul><li><a href=\"#security\">Who may ask</a></li><li><a "
        "href=\"#schemas\">Schemas</a></li></ul></nav>\n";
  }

  void group(std::string_view tag) {
    out_ += fmt::format("<h2>{}</h2>\n", escaped(tag));
    for_each_operation(tag, [&](std::string_view path, std::string_view method, const json::object& one) {
      out_ += fmt::format("<section id=\"{}\"><h3>{}</h3>\n<p><b class=\"{}\">{}</b> <code>{}</code></p>\n",
                          escaped(text_of(one, "operationId")), escaped(text_of(one, "summary")), escaped(method),
                          upper(method), escaped(path));
      if (const std::string_view words = text_of(one, "description"); !words.empty()) {
        out_ += fmt::format("<p>{}</p>\n", escaped(words));
      }
      parameters(one);
      if (const json::object* const body = object_of(one, "requestBody")) {
        out_ += "<h4>Body</h4>\n";
        contents_of(*body);
      }
      responses(one.at("responses").as_object());
      out_ += "</section>\n";
    });
  }

  void parameters(const json::object& operation) {
    const json::array* const list = array_of(operation, "parameters");
    if (list == nullptr) return;
    out_ += "<h4>Parameters</h4>\n<table><thead><tr><th>Name</th><th>In</th><th>Type</th><th></th></tr></thead><tbody>\n";
    for (const json::value& parameter : *list) {
      const json::object& one = resolved(parameter.as_object(), "parameters");
      out_ += fmt::format("<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                          escaped(text_of(one, "name")), escaped(text_of(one, "in")), type_of(one.at("schema").as_object()),
                          escaped(text_of(one, "description")));
    }
    out_ += "</tbody></table>\n";
  }

  void responses(const json::object& list) {
    out_ += "<h4>Answers</h4>\n";
    for (const auto& [status, response] : list) {
      const json::object& one = resolved(response.as_object(), "responses");
      const bool refusal = !std::string_view(status).starts_with('2');
      out_ += fmt::format("<p><b class=\"{}\">{}</b> {}</p>\n", refusal ? "refusal" : "good", escaped(status),
                          escaped(text_of(one, "description")));
      if (!refusal) contents_of(one);
    }
  }

  void contents_of(const json::object& holder) {
    const json::object* const content = object_of(holder, "content");
    if (content == nullptr) return;
    for (const auto& [media, details] : *content) {
      out_ += fmt::format("<p><code>{}</code></p>\n", escaped(media));
      const json::object& one = details.as_object();
      describe(one.at("schema").as_object());
      const json::value* const example = one.if_contains("example");
      if (example == nullptr) continue;
      const std::string text = example->is_string() ? std::string(example->get_string()) : json::serialize(*example);
      out_ += fmt::format("<pre>{}</pre>\n", escaped(text));
    }
  }

  void security() {
    out_ += "<h2 id=\"security\">Who may ask</h2>\n<dl>\n";
    for (const auto& [name, scheme] : components_.at("securitySchemes").as_object()) {
      out_ += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(text_of(scheme.as_object(), "description")));
    }
    out_ += "</dl>\n";
  }

  const json::object& resolved(const json::object& object, std::string_view kind) const {
    const std::string_view reference = text_of(object, "$ref");
    if (reference.empty()) return object;
    return components_.at({kind.data(), kind.size()}).as_object().at(last_part(reference)).as_object();
  }

  // A schema: its fields as a table, or what else it is.
  void describe(const json::object& schema) {
    if (const std::string_view words = text_of(schema, "description"); !words.empty()) {
      out_ += fmt::format("<p>{}</p>\n", escaped(words));
    }
    if (const json::array* const choices = array_of(schema, "oneOf")) {
      for (const json::value& choice : *choices) {
        out_ += "<p>One of:</p>\n";
        describe(choice.as_object());
      }
      return;
    }
    const json::object* const fields = object_of(schema, "properties");
    if (fields == nullptr || fields->empty()) {
      out_ += fmt::format("<p>{}</p>\n", type_of(schema));
      return;
    }
    const json::array* const needed = array_of(schema, "required");
    out_ += "<table><thead><tr><th>Field</th><th>Type</th><th></th></tr></thead><tbody>\n";
    for (const auto& [name, value] : *fields) {
      const bool always = needed != nullptr && std::find(needed->begin(), needed->end(), json::value(name)) != needed->end();
      const json::object& field = value.as_object();
      out_ += fmt::format("<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>\n", escaped(name), always ? "" : " ?",
                          type_of(field), escaped(text_of(field, "description")));
    }
    out_ += "</tbody></table>\n";
  }

  std::string type_of(const json::object& schema) const {
    if (const std::string_view reference = text_of(schema, "$ref"); !reference.empty()) {
      return fmt::format("<a href=\"#schema-{0}\">{0}</a>", escaped(last_part(reference)));
    }
    if (const json::value* const constant = schema.if_contains("const")) {
      return "<code>" + escaped(json::serialize(*constant)) + "</code>";
    }
    if (const json::array* const values = array_of(schema, "enum")) {
      std::string list;
      for (const json::value& value : *values) list += (list.empty() ? "" : ", ") + escaped(value.as_string());
      return list;
    }
    const std::string_view type = text_of(schema, "type");
    std::string words = type == "array" ? "list of " + type_of(schema.at("items").as_object()) : escaped(type);
    if (type == "object" && object_of(schema, "properties") != nullptr) {
      std::string names;
      for (const auto& [name, value] : *object_of(schema, "properties"))
        names += (names.empty() ? "" : ", ") + escaped(name);
      words += " {" + names + "}";
    }
    if (schema.if_contains("oneOf") != nullptr) words = "one of several, see above";
    const auto bound = [&](std::string_view name) {
      const json::value* const value = schema.if_contains({name.data(), name.size()});
      return value != nullptr ? json::serialize(*value) : std::string();
    };
    const std::string least = bound("minimum"), most = bound("maximum");
    if (!least.empty() && !most.empty()) return words + fmt::format(", {} to {}", least, most);
    if (!least.empty()) return words + fmt::format(", {} or more", least);
    return words;
  }

  const json::object& document_;
  const json::object& components_;
  std::string out_;
};

}  // namespace

std::string docs_page(std::string_view openapi) {
  const json::value document = json::parse({openapi.data(), openapi.size()});
  return Page(document.as_object()).html();
}

std::string_view docs_style() {
  return R"css(:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; display: grid; gap: 0 2rem;
  grid-template-columns: 15rem minmax(0, 1fr); }
header { grid-column: 1 / -1; }
nav { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow: auto; }
nav h2 { font-size: 1rem; margin: 1rem 0 0; }
nav ul { margin: 0; padding-left: 1rem; list-style: none; }
section { border-top: 1px solid var(--line); padding: 0.5rem 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid var(--line); }
code, pre { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
pre { padding: 0.75rem; border: 1px solid var(--line); white-space: pre-wrap; }
.get, .good { color: #1a7f37; } .post, .put { color: #0969da; } .patch { color: #9a6700; } .delete, .refusal { color: #cf222e; }
@media (prefers-color-scheme: dark) { .get, .good { color: #3fb950; } .post, .put { color: #58a6ff; } .patch { color: #d29922; }
  .delete, .refusal { color: #ff7b72; } }
@media (max-width: 48rem) { body { display: block; } nav { position: static; max-height: none; } }
)css";
}

}  // namespace watchword::api
