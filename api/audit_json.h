// An entry of the audit trail as JSON: one form for REST, export and the stream.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "engine/audit_query.h"

namespace watchword::api {

// {"sequence","at","actor","address"?,"trace"?,"action","user"?,"device"?,"detail"?}; what is empty is left out.
boost::json::object audit_object(const engine::AuditRow& row);

// RFC 3339 in UTC with milliseconds, and back: the fraction may be absent or have up to nine digits.
std::string utc_text_ms(engine::UnixMillis at);
std::optional<engine::UnixMillis> parse_utc(std::string_view text);

}  // namespace watchword::api
