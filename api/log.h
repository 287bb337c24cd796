// Log lines: one JSON object a line on stderr, one line an event, times in UTC. Texts are escaped, so nothing that a client
// sends can begin a line of its own or colour a terminal. No secret, code or key is ever handed to these. Lines are written
// by a thread of their own: whoever reads stderr slowly loses the oldest lines and delays nobody.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace watchword::api {

enum class Level : std::uint8_t { debug, info, warning, error };

// For the whole process, before the first line. `level`: debug, info, warning or error.
void set_up_log(const std::string& level);
// Returns when every line is written.
void close_log();

using Value = std::variant<std::string, std::int64_t>;
// Empty texts are left out.
void log(Level level, std::string_view event, std::initializer_list<std::pair<std::string_view, Value>> fields = {});

// As it stands between the quotes of a JSON text.
std::string json_escaped(std::string_view text);

}  // namespace watchword::api
