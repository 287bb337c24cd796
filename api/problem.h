// RFC 9457 problem documents: the one shape of every refusal.
#pragma once

#include <string>
#include <string_view>

#include "api/message.h"

namespace watchword::api {

// `type` is "urn:watchword:problem:" + slug; title by status; field only where one is at fault. 401 carries
// WWW-Authenticate: Bearer, 503 carries Retry-After: 1.
Response problem(unsigned status, std::string_view slug, std::string_view detail, std::string_view field = {});
inline constexpr std::string_view overloaded_detail = "The server is overloaded. Try again later.";  // of 503 `overloaded`
// 429 of an API key's own rate: Retry-After in whole seconds.
Response too_many_requests(std::int64_t wait_ms);
// The body alone, appended without other allocation than the string's own.
void append_problem_body(std::string& out, unsigned status, std::string_view slug, std::string_view detail,
                         std::string_view field = {});
// The standard reason phrase, e.g. "Bad Request".
std::string_view status_title(unsigned status);

}  // namespace watchword::api
