// JSON leaves open what a name means that an object has twice; readers that disagree are a hole. Here such text is found.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace watchword::api {

// The first name that an object of this JSON text has twice. Names are compared as they are meant, not as they are escaped.
// nullopt also for text that is no JSON: the parser proper says so better.
std::optional<std::string> repeated_name(std::string_view text);

}  // namespace watchword::api
