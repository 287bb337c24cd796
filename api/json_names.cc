#include "api/json_names.h"

#include <set>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>

namespace watchword::api {
namespace {

namespace json = boost::json;

// What boost::json::basic_parser calls at each token: a set of names for each object that is open, and nothing else of
// interest.
class NameWatch {
 public:
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;

  std::optional<std::string> repeated;

  bool on_object_begin(json::error_code&) {
    open_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    open_.pop_back();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    name_.append(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    name_.append(part);
    const bool fresh = open_.back().insert(name_).second;
    if (!fresh) {
      repeated = name_;
      error = json::error::extra_data;  // any error: it ends the parse
    }
    name_.clear();
    return fresh;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::vector<std::set<std::string>> open_;
  std::string name_;
};

}  // namespace

std::optional<std::string> repeated_name(std::string_view text) {
  json::basic_parser<NameWatch> parser{json::parse_options{}};
  json::error_code error;
  constexpr bool more_follows = false;
  parser.write_some(more_follows, text.data(), text.size(), error);
  return parser.handler().repeated;
}

}  // namespace watchword::api
