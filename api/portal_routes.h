// The templates of what PortalPlane answers, for whoever counts. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace watchword::api {

// A constant: "/portal/api/devices/{device}", "/assets/". Paths that are not listed share one a family.
std::string_view portal_template(std::string_view path, const std::vector<std::string>& segments);

}  // namespace watchword::api
