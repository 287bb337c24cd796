#include "api/admin_json.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/json_names.h"
#include "api/problem.h"
#include "engine/types.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::size_t depth_max = 4;  // the policy has two levels
constexpr std::size_t shown_name_bytes_max = 64;

}  // namespace

std::string shown_field(std::string_view name) {
  const bool printable = engine::printable_utf8_length(name).has_value() && name.size() <= shown_name_bytes_max;
  return printable ? std::string(name) : std::string();
}

Response problem(const RequestFault& fault) {
  const std::string_view slug = fault.status == 422 ? "unacceptable_value" : "bad_request";
  return problem(fault.status, slug, fault.detail, fault.field);
}

JsonFields::JsonFields(std::string_view body) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = depth_max;
  const json::value parsed = json::parse({body.data(), body.size()}, error, {}, options);
  if (error) {
    refuse({}, "The body is not valid JSON in UTF-8: " + error.message() + ".");
  } else if (const std::optional<std::string> name = repeated_name(body)) {
    refuse(shown_field(*name), "A field is given twice. Give each field once.");
  } else if (!parsed.is_object()) {
    refuse({}, "The body must be a JSON object.");
  } else {
    fields_ = parsed.get_object();
  }
}

JsonFields::JsonFields(json::object fields, std::string prefix) : fields_(std::move(fields)), prefix_(std::move(prefix)) {}
JsonFields::~JsonFields() = default;

void JsonFields::refuse(std::string_view field, std::string detail, unsigned status) {
  if (fault_) return;
  fault_ = RequestFault{
      .field = field.empty() ? std::string() : prefix_ + std::string(field), .detail = std::move(detail), .status = status};
}

void JsonFields::refuse_type(std::string_view name, std::string_view wanted) {
  refuse(name, fmt::format("The field \"{}{}\" must be {}.", prefix_, name, wanted));
}

bool JsonFields::has(std::string_view name) const {
  return fields_.contains({name.data(), name.size()});
}

const json::value* JsonFields::take(std::string_view name) {
  asked_.emplace_back(name);
  return fields_.if_contains({name.data(), name.size()});
}

const json::value* JsonFields::require(std::string_view name) {
  const json::value* const value = take(name);
  if (value == nullptr) refuse(name, fmt::format("The field \"{}{}\" is missing.", prefix_, name));
  return value;
}

std::optional<std::string> JsonFields::optional_text(std::string_view name) {
  const json::value* const value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    refuse_type(name, "a text");
    return std::nullopt;
  }
  return std::string(value->get_string());
}

std::string JsonFields::text(std::string_view name) {
  return require(name) != nullptr ? optional_text(name).value_or("") : "";
}

std::optional<std::int64_t> JsonFields::optional_integer(std::string_view name) {
  const json::value* const value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_int64()) {
    refuse_type(name, "a whole number");
    return std::nullopt;
  }
  return value->get_int64();
}

std::int64_t JsonFields::integer(std::string_view name) {
  return require(name) != nullptr ? optional_integer(name).value_or(0) : 0;
}

std::optional<bool> JsonFields::optional_flag(std::string_view name) {
  const json::value* const value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) {
    refuse_type(name, "true or false");
    return std::nullopt;
  }
  return value->get_bool();
}

std::vector<std::string> JsonFields::texts(std::string_view name) {
  const json::value* const value = require(name);
  if (value == nullptr) return {};
  const auto is_text = [](const json::value& element) { return element.is_string(); };
  if (!value->is_array() || !std::all_of(value->get_array().begin(), value->get_array().end(), is_text)) {
    refuse_type(name, "a list of texts");
    return {};
  }
  std::vector<std::string> list;
  for (const json::value& element : value->get_array()) list.emplace_back(element.get_string());
  return list;
}

JsonFields& JsonFields::object(std::string_view name) {
  const json::value* const value = require(name);
  json::object fields;
  if (value != nullptr && value->is_object()) {
    fields = value->get_object();
  } else if (value != nullptr) {
    refuse_type(name, "an object");
  }
  nested_.push_back(std::unique_ptr<JsonFields>(new JsonFields(std::move(fields), prefix_ + std::string(name) + ".")));
  return *nested_.back();
}

std::optional<RequestFault> JsonFields::finish() {
  for (const json::key_value_pair& field : fields_) {
    const std::string_view name(field.key().data(), field.key().size());
    if (std::find(asked_.begin(), asked_.end(), name) != asked_.end()) continue;
    refuse(shown_field(name), "This request has no field of that name.");
  }
  for (const std::unique_ptr<JsonFields>& nested : nested_) {
    if (!fault_) fault_ = nested->finish();
  }
  return fault_;
}

std::string utc_text(std::int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(seconds)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", int{date.year()}, unsigned{date.month()}, unsigned{date.day()},
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

}  // namespace watchword::api
