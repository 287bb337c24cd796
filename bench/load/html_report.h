// A result as one HTML page that needs nothing else: no script, no font, no picture from anywhere.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace watchword::load {

std::string html_report(const boost::json::object& result);

}  // namespace watchword::load
