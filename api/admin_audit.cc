#include <charconv>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/audit_json.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::uint64_t entries_per_page_max = 1000;
constexpr std::uint64_t entries_per_page_default = 100;

engine::UnixMillis time_field(QueryFields& query, std::string_view name, engine::UnixMillis absent) {
  const std::optional<std::string> text = query.text(name);
  if (!text) return absent;
  const std::optional<engine::UnixMillis> time = parse_utc(*text);
  if (!time) query.refuse(name, "A time is RFC 3339 in UTC: 2026-11-24T14:00:00Z.");
  return time.value_or(absent);
}

// "1795528800000-17": where the page before ended.
std::string cursor_text(const engine::AuditMoment& moment) {
  return fmt::format("{}-{}", moment.at_ms, moment.sequence);
}
std::optional<engine::AuditMoment> parse_cursor(std::string_view text) {
  engine::AuditMoment moment;
  const char* const end = text.data() + text.size();
  const auto [dash, first_fault] = std::from_chars(text.data(), end, moment.at_ms);
  if (first_fault != std::errc{} || moment.at_ms < 0 || dash == end || *dash != '-') return std::nullopt;
  const auto [stop, second_fault] = std::from_chars(dash + 1, end, moment.sequence);
  if (second_fault != std::errc{} || stop != end) return std::nullopt;
  return moment;
}

}  // namespace

Response list_audit(const AdminCall& call) {
  QueryFields fields(call.target);
  engine::AuditQuery query;
  query.from = time_field(fields, "from", query.from);
  query.to = time_field(fields, "to", query.to);
  if (const std::optional<std::string> user = fields.text("user")) {
    query.user = *user;
    if (!engine::valid_user(*user)) fields.refuse("user", "A user is 1 to 256 bytes of UTF-8 without control characters.");
  }
  if (const std::optional<std::string> action = fields.text("action")) {
    query.action = *action;
    if (action->empty() || action->size() > 64) fields.refuse("action", "An action is a name such as device.remove.");
  }
  if (const std::optional<std::string> cursor = fields.text("cursor")) {
    const std::optional<engine::AuditMoment> before = parse_cursor(*cursor);
    if (!before) fields.refuse("cursor", "The cursor is not one of this server's: take next_cursor as it is.");
    query.before = before.value_or(query.before);
  }
  query.limit = fields.number("limit", 1, entries_per_page_max).value_or(entries_per_page_default);
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);

  const engine::AuditPage page = call.engine.store.audit(query);
  json::array entries;
  for (const engine::AuditRow& row : page.rows) entries.push_back(audit_object(row));
  json::object body{{"entries", std::move(entries)}};
  if (page.next) body["next_cursor"] = cursor_text(*page.next);
  return json_answer(200, body);
}

}  // namespace watchword::api
