#include "api/verify_json.h"

#include <boost/json/basic_parser_impl.hpp>

#include <fmt/format.h>

#include "engine/byte_words.h"

namespace watchword::api {
namespace {

namespace json = boost::json;
using Error = json::error_code;
using Text = json::string_view;

enum class Field : std::uint8_t { none, user, code, device, request_id };

constexpr std::string_view not_json = "The body is not valid JSON in UTF-8.";
constexpr std::string_view not_object = "The body must be a JSON object.";
constexpr std::string_view given_twice = "A field is given twice. Give each field once.";
constexpr std::string_view unknown_field = "This request has no field of that name.";
constexpr std::string_view not_text = "This field must be a text.";
constexpr std::string_view missing = "This field is missing.";
constexpr std::string_view user_rule = "A user is 1 to 256 bytes of UTF-8 without control characters.";
constexpr std::string_view code_rule = "A code is six to eight ASCII digits, or a recovery code; nothing else.";
constexpr std::string_view recovery_rule = "A recovery code belongs to no device: leave the device out.";
constexpr std::string_view device_rule = "A device is named by its id: sixteen lower-case hexadecimal digits.";
constexpr std::string_view request_id_rule = "A request_id is 1 to 128 bytes of UTF-8 without control characters.";
constexpr std::string_view items_rule = "A batch has 1 to 1,000 items.";
constexpr std::string_view items_not_list = "This field must be a list.";
constexpr std::string_view item_not_object = "An item must be an object.";

Field field_of(std::string_view name) {
  if (name == "user") return Field::user;
  if (name == "code") return Field::code;
  if (name == "device") return Field::device;
  if (name == "request_id") return Field::request_id;
  return Field::none;
}

std::uint8_t bit(Field field) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(field));
}

std::string_view rule_of(Field field) {
  switch (field) {
    case Field::user:
      return user_rule;
    case Field::code:
      return code_rule;
    case Field::device:
      return device_rule;
    case Field::request_id:
      return request_id_rule;
    case Field::none:
      break;
  }
  return {};
}

bool append(VerifyFields& fields, Field field, std::string_view part) {
  switch (field) {
    case Field::user:
      return fields.user.append(part);
    case Field::code:
      return fields.code_text.append(part);
    case Field::device:
      return fields.device_text.append(part);
    case Field::request_id:
      return fields.request_id.append(part);
    case Field::none:
      break;
  }
  return false;
}

bool accept(VerifyFields& fields, Field field) {
  switch (field) {
    case Field::user:
      return engine::valid_user(fields.user.view());
    case Field::code: {
      const std::optional<engine::Code> code = engine::Code::parse(fields.code_text.view());
      if (code) {
        fields.code = *code;
        return true;
      }
      fields.recovery_code = engine::RecoveryCode::parse(fields.code_text.view());
      return fields.recovery_code.has_value();
    }
    case Field::device:
      fields.device = engine::DeviceId::parse(fields.device_text.view());
      return fields.device.has_value();
    case Field::request_id:
      return !fields.request_id.view().empty() && engine::printable_utf8_length(fields.request_id.view()).has_value();
    case Field::none:
      break;
  }
  return false;
}

constexpr std::size_t name_bytes_max = 64;  // longer ones are nobody's

// Boost.JSON calls this as it reads. A body of one request is an object of texts; a batch is {"items": [such objects]}.
class Reader {
 public:
  explicit Reader(VerifyFields& one) : batch_(nullptr), fields_(&one) {}
  explicit Reader(BatchItems& batch) : batch_(&batch), fields_(nullptr) {}

  std::optional<RequestFault> finish() {
    if (!failed_ && batch_ != nullptr && !items_seen_) fail(missing, "items");
    if (!failed_) return std::nullopt;
    return RequestFault{.field = field_, .detail = std::string(detail_)};
  }
  void fail_syntax() {
    if (!failed_) fail(not_json);
  }

  static constexpr std::size_t max_object_size = std::size_t(-1);
  static constexpr std::size_t max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1);
  static constexpr std::size_t max_string_size = std::size_t(-1);

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }

  bool on_object_begin(Error& error) {
    if (level_ == Level::document) {
      level_ = Level::top;
      if (batch_ == nullptr) fields_->clear();
      return true;
    }
    if (level_ != Level::list) return wrong_type(error);
    if (count_ == batch_items_max) return stop(error, items_rule, "items");
    fields_ = &batch_->add();
    fields_->clear();
    ++count_;
    level_ = Level::item;
    return true;
  }

  bool on_object_end(std::size_t, Error& error) {
    const bool whole = batch_ == nullptr || level_ == Level::item;
    level_ = level_ == Level::item ? Level::list : Level::done;
    if (!whole) return true;
    for (const auto& [field, name] : {std::pair{Field::user, "user"}, std::pair{Field::code, "code"}}) {
      if ((fields_->seen & bit(field)) != 0) continue;
      fail_field(missing, name);
      error = json::error::incomplete;
      return false;
    }
    if (fields_->recovery_code && fields_->device) {
      fail_field(recovery_rule, "device");
      error = json::error::incomplete;
      return false;
    }
    return true;
  }

  bool on_array_begin(Error& error) {
    if (batch_ == nullptr || level_ != Level::top) return wrong_type(error);
    level_ = Level::list;
    return true;
  }
  bool on_array_end(std::size_t count, Error& error) {
    level_ = Level::top;
    return count > 0 || stop(error, items_rule, "items");
  }

  bool on_key_part(Text part, std::size_t, Error&) {
    name_fits_ = name_fits_ && name_.append({part.data(), part.size()});
    return true;
  }
  bool on_key(Text part, std::size_t size, Error& error) {
    on_key_part(part, size, error);
    const bool fits = name_fits_;
    name_fits_ = true;
    shown_ = name_;
    name_.clear();
    if (batch_ != nullptr && level_ == Level::top) return items_key(fits, error);
    current_ = fits ? field_of(shown_.view()) : Field::none;
    if (current_ == Field::none) return stop_field(error, unknown_field, fits ? shown_.view() : std::string_view());
    if ((fields_->seen & bit(current_)) != 0) return stop_field(error, given_twice, shown_.view());
    fields_->seen = static_cast<std::uint8_t>(fields_->seen | bit(current_));
    return true;
  }

  bool on_string_part(Text part, std::size_t, Error& error) {
    if (current_ == Field::none || !in_fields()) return wrong_type(error);
    return append(*fields_, current_, {part.data(), part.size()}) || stop_field(error, rule_of(current_), shown_.view());
  }
  bool on_string(Text part, std::size_t size, Error& error) {
    if (!on_string_part(part, size, error)) return false;
    if (!accept(*fields_, current_)) return stop_field(error, rule_of(current_), shown_.view());
    return true;
  }

  bool on_number_part(Text, Error& error) { return wrong_type(error); }
  bool on_int64(std::int64_t, Text, Error& error) { return wrong_type(error); }
  bool on_uint64(std::uint64_t, Text, Error& error) { return wrong_type(error); }
  bool on_double(double, Text, Error& error) { return wrong_type(error); }
  bool on_bool(bool, Error& error) { return wrong_type(error); }
  bool on_null(Error& error) { return wrong_type(error); }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

 private:
  enum class Level : std::uint8_t { document, top, list, item, done };

  bool in_fields() const { return level_ == Level::item || (batch_ == nullptr && level_ == Level::top); }

  bool items_key(bool fits, Error& error) {
    if (!fits || shown_.view() != "items")
      return stop_field(error, unknown_field, fits ? shown_.view() : std::string_view());
    if (items_seen_) return stop_field(error, given_twice, "items");
    items_seen_ = true;
    return true;
  }

  bool wrong_type(Error& error) {
    if (level_ == Level::document) return stop(error, not_object, {});
    if (level_ == Level::list) return stop(error, item_not_object, fmt::format("items[{}]", count_));
    if (!in_fields()) return stop(error, items_not_list, "items");
    return stop_field(error, not_text, shown_.view());
  }

  // Remembers the first fault and ends the parse.
  bool stop(Error& error, std::string_view detail, std::string field) {
    fail(detail, std::move(field));
    error = json::error::incomplete;
    return false;
  }
  bool stop_field(Error& error, std::string_view detail, std::string_view name) {
    fail_field(detail, name);
    error = json::error::incomplete;
    return false;
  }
  void fail_field(std::string_view detail, std::string_view name) {
    const std::string shown = shown_field(name);
    if (level_ != Level::item && !(level_ == Level::list && batch_ != nullptr)) return fail(detail, shown);
    fail(detail, shown.empty() ? fmt::format("items[{}]", count_ - 1) : fmt::format("items[{}].{}", count_ - 1, shown));
  }
  void fail(std::string_view detail, std::string field = {}) {
    failed_ = true;
    detail_ = detail;
    field_ = std::move(field);
  }

  BatchItems* const batch_;  // null: one request
  VerifyFields* fields_;     // being filled in
  Level level_ = Level::document;
  Field current_ = Field::none;
  FixedText<name_bytes_max> name_;   // being read
  FixedText<name_bytes_max> shown_;  // read last
  bool name_fits_ = true;
  bool items_seen_ = false;
  std::size_t count_ = 0;
  bool failed_ = false;
  std::string_view detail_;
  std::string field_;
};

constexpr std::size_t depth_max = 4;  // a batch has three levels

template <class Target>
std::optional<RequestFault> parse(std::string_view body, Target& target) {
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<Reader> parser(options, target);
  Error error;
  const std::size_t end = parser.write_some(false, body.data(), body.size(), error);
  const bool rest_blank = body.substr(end).find_first_not_of(" \t\r\n") == std::string_view::npos;
  if (error || !rest_blank) parser.handler().fail_syntax();
  return parser.handler().finish();
}

// The commonest body, as most clients write it, without the general parser: {"user":"...","code":"123456"}, with a blank
// after ',' and ':' or not. False: it is another one, right or wrong, and `fields` says nothing.
class PlainBody {
 public:
  explicit PlainBody(std::string_view body) : rest_(body) {}

  bool read(VerifyFields& fields) {
    std::string_view user, code;
    if (!take(R"({"user":)") || !text(user) || !take(",") || !take(R"("code":)") || !text(code) || rest_ != "}")
      return false;
    fields.clear();
    if (user.empty() || !fields.user.append(user) || !fields.code_text.append(code)) return false;
    const std::optional<engine::Code> parsed = engine::Code::parse(code);
    if (parsed) fields.code = *parsed;
    return parsed.has_value();
  }

 private:
  bool take(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    if (rest_.starts_with(' ')) rest_.remove_prefix(1);
    return true;
  }
  // Printable ASCII without escapes.
  bool text(std::string_view& out) {
    if (!rest_.starts_with('"')) return false;
    const std::size_t end = rest_.find('"', 1);
    if (end == std::string_view::npos) return false;
    out = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return engine::printable_ascii(out) && out.find('\\') == std::string_view::npos;
  }
  std::string_view rest_;
};

}  // namespace

void VerifyFields::clear() {
  user.clear();
  code_text.clear();
  device_text.clear();
  request_id.clear();
  code = {};
  recovery_code.reset();
  device.reset();
  seen = 0;
}

std::optional<RequestFault> parse_verify(std::string_view body, VerifyFields& fields) {
  if (PlainBody(body).read(fields)) return std::nullopt;
  return parse(body, fields);
}

std::optional<RequestFault> parse_batch(std::string_view body, BatchItems& items) {
  return parse(body, items);
}

}  // namespace watchword::api
