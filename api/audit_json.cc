#include "api/audit_json.h"

#include <chrono>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/admin_json.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

// A number of exactly so many decimal digits at `at`; -1 otherwise.
int digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

json::object audit_object(const engine::AuditRow& row) {
  const engine::AuditEntry& entry = row.entry;
  json::object object{{"sequence", row.sequence}, {"at", utc_text_ms(entry.at)}, {"actor", entry.origin.actor}};
  const auto add = [&](json::string_view name, const std::string& text) {
    if (!text.empty()) object[name] = text;
  };
  add("address", entry.origin.address);
  add("trace", entry.origin.trace);
  object["action"] = entry.action;
  add("user", entry.user);
  add("device", entry.device);
  if (!entry.detail.empty()) {
    boost::system::error_code fault;
    json::value detail = json::parse(entry.detail, fault);
    object["detail"] = fault ? json::value(entry.detail) : std::move(detail);
  }
  return object;
}

std::string utc_text_ms(engine::UnixMillis at) {
  std::string text = utc_text(at.seconds());
  text.pop_back();
  return text + fmt::format(".{:03}Z", at.value % 1000);
}

std::optional<engine::UnixMillis> parse_utc(std::string_view text) {
  using namespace std::chrono;
  constexpr std::size_t seconds_end = 19;
  if (text.size() < seconds_end + 1 || text.back() != 'Z') return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') return std::nullopt;
  const int year_of = digits(text, 0, 4), month_of = digits(text, 5, 2), day_of = digits(text, 8, 2);
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  const std::string_view fraction = text.substr(seconds_end, text.size() - seconds_end - 1);
  std::int64_t millis = 0;
  if (!fraction.empty()) {
    if (fraction[0] != '.' || fraction.size() < 2 || fraction.size() > 10 || digits(fraction, 1, fraction.size() - 1) < 0) {
      return std::nullopt;
    }
    std::string three(fraction.substr(1, 3));
    three.resize(3, '0');
    millis = digits(three, 0, 3);
  }
  if (year_of < 1970 || month_of < 1 || day_of < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 59) {
    return std::nullopt;
  }
  const year_month_day date{year{year_of}, month{static_cast<unsigned>(month_of)}, day{static_cast<unsigned>(day_of)}};
  if (!date.ok()) return std::nullopt;
  const auto time = sys_days(date) + hours(hour) + minutes(minute) + std::chrono::seconds(second);
  return engine::UnixMillis{duration_cast<milliseconds>(time.time_since_epoch()).count() + millis};
}

}  // namespace watchword::api
