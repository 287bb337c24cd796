#include "api/export_rows.h"

#include "api/admin_json.h"
#include "api/json_text.h"

namespace watchword::api {
namespace {

constexpr std::size_t piece_bytes = 48 * 1024;

void append_row(std::string& out, const engine::UserRecord& user, const engine::DeviceRecord& device) {
  out += R"({"user":)";
  append_json_string(out, user.user);
  out += R"(,"name":)";
  append_json_string(out, device.name);
  out += R"(,"algorithm":")";
  out += to_string(device.parameters.algorithm);
  out += R"(","digits":)";
  append_number(out, device.parameters.digits);
  out += R"(,"period":)";
  append_number(out, device.parameters.period_s);
  out += R"(,"id":")" + device.id.text();
  out += R"(","enabled":)";
  out += device.enabled ? "true" : "false";
  out += R"(,"created_at":")" + utc_text(device.created_at_s);
  out += R"(","confirmed_at":")" + utc_text(device.confirmed_at_s);
  out += "\"}\n";
}

}  // namespace

bool ExportRows::next(std::string& out) {
  const std::size_t enough = out.size() + piece_bytes;
  bool more = false;
  store_.scan(after_, [&](const engine::UserRecord& user) {
    more = out.size() >= enough;
    if (more) return false;
    for (const engine::DeviceRecord& device : user.devices) {
      if (device.status == engine::DeviceStatus::active) append_row(out, user, device);
    }
    after_ = user.user;
    return true;
  });
  return more;
}

}  // namespace watchword::api
