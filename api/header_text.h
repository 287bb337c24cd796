// Small readings of header fields. Pure.
#pragma once

#include <string_view>

namespace watchword::api {

// Without the blanks and tabs at both ends (OWS of RFC 9110 section 5.6.3).
std::string_view trimmed(std::string_view text);
// As ASCII: whatever the locale, no other letter is one of ours in another case.
bool equal_ignoring_case(std::string_view a, std::string_view b);
// Nothing said is taken as JSON; anything else said is not.
bool is_json(std::string_view content_type);
// JSON lines, under any of the names that they go by; nothing said is taken as that.
bool is_json_lines(std::string_view content_type);

}  // namespace watchword::api
