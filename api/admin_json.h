// Bodies of requests, read strictly: a client's mistake is named, never guessed around.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <tl/expected.hpp>

#include "api/message.h"

namespace watchword::api {

// What is wrong with a request, and in which field if it is one.
struct RequestFault {
  std::string field;
  std::string detail;
  unsigned status = 400;
};
Response problem(const RequestFault& fault);
// A client's own name for a field, or nothing if it is long or cannot be printed: fit for RequestFault::field.
std::string shown_field(std::string_view name);

// A JSON object out of a body. Reading goes on after a fault, with default values, and finish() says what was wrong first;
// so callers read everything, ask finish(), and only then use what they read.
//
// Faults: no JSON or not an object, invalid UTF-8, deep nesting, a name twice in one object, a wrong type, a missing field,
// and, at finish(), a field that nobody asked for.
class JsonFields {
 public:
  explicit JsonFields(std::string_view body);
  ~JsonFields();

  std::string text(std::string_view name);
  std::int64_t integer(std::string_view name);
  // A list of texts.
  std::vector<std::string> texts(std::string_view name);
  // The fields of a nested object, to be read before finish(). Its faults are named "name.field".
  JsonFields& object(std::string_view name);

  // nullopt where absent; null is a wrong type.
  std::optional<std::string> optional_text(std::string_view name);
  std::optional<std::int64_t> optional_integer(std::string_view name);
  std::optional<bool> optional_flag(std::string_view name);
  bool has(std::string_view name) const;

  // Remembers a fault of the caller's own, such as a text that is no device name. The first one wins.
  void refuse(std::string_view field, std::string detail, unsigned status = 400);

  std::optional<RequestFault> finish();

 private:
  JsonFields(boost::json::object fields, std::string prefix);
  const boost::json::value* take(std::string_view name);
  const boost::json::value* require(std::string_view name);
  void refuse_type(std::string_view name, std::string_view wanted);

  boost::json::object fields_;
  std::string prefix_;  // "lockout." in a nested object
  std::vector<std::string> asked_;
  std::vector<std::unique_ptr<JsonFields>> nested_;
  std::optional<RequestFault> fault_;
};

// "2026-11-24T14:00:00Z": RFC 3339 in UTC.
std::string utc_text(std::int64_t seconds);

}  // namespace watchword::api
