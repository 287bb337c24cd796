#include <algorithm>

#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/if_match.h"

namespace watchword::api {

namespace json = boost::json;

std::optional<engine::Code> code_field(JsonFields& fields, std::string_view name) {
  const std::optional<engine::Code> code = engine::Code::parse(fields.text(name));
  if (!code) fields.refuse(name, "A code is a text of 6 to 8 digits, without spaces: \"123456\".");
  return code;
}

Response list_devices(const AdminCall& call) {
  const engine::Answer<engine::UserView> user = call.engine.registrar.get(*call.user, call.now);
  if (!user) return refused(user.error());
  json::array devices;
  for (const engine::DeviceView& device : user->devices) devices.push_back(device_object(device));
  return json_answer(200, {{"devices", std::move(devices)}, {"recovery_codes_left", user->recovery_codes_left}});
}

Response show_device(const AdminCall& call) {
  const engine::Answer<engine::UserView> user = call.engine.registrar.get(*call.user, call.now);
  if (!user) return refused(user.error());
  const auto device = std::find_if(user->devices.begin(), user->devices.end(),
                                   [&](const engine::DeviceView& one) { return one.id == call.device; });
  if (device == user->devices.end()) return refused(engine::Refusal::device_not_found);
  return tagged(json_answer(200, device_object(*device)), device->tag);
}

Response patch_device(const AdminCall& call) {
  JsonFields fields(call.request.body);
  const engine::DevicePatch patch{.name = fields.optional_text("name"), .enabled = fields.optional_flag("enabled")};
  if (patch.name && !engine::valid_device_name(*patch.name)) fields.refuse("name", device_name_rule);
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  if (!patch.name && !patch.enabled) {
    return problem(RequestFault{.field = {}, .detail = "Nothing to change: give \"name\", \"enabled\" or both."});
  }
  const engine::Answer<engine::DeviceView> device = call.engine.registrar.patch(
      *call.user, call.device, patch, call.request.origin, call.now, wanted_tags(call.request.if_match));
  return device ? tagged(json_answer(200, device_object(*device)), device->tag) : refused(device.error());
}

Response remove_device(const AdminCall& call) {
  const auto removed = call.engine.registrar.remove(*call.user, call.device, call.request.origin, call.now,
                                                    wanted_tags(call.request.if_match));
  return removed ? empty_answer() : refused(removed.error());
}

Response resync_device(const AdminCall& call) {
  JsonFields fields(call.request.body);
  const std::optional<engine::Code> code1 = code_field(fields, "code1");
  const std::optional<engine::Code> code2 = code_field(fields, "code2");
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  if (code1->digits != code2->digits) {
    return problem(
        RequestFault{.field = "code2", .detail = "Both codes must have the device's number of digits.", .status = 422});
  }
  const engine::Answer<engine::Resynced> resynced =
      call.engine.registrar.resync(*call.user, call.device, *code1, *code2, call.request.origin, call.now);
  if (!resynced) return refused(resynced.error(), "code1");
  json::object body{{"result", to_string(resynced->kind)}};
  if (resynced->kind == engine::Resynced::Kind::accepted) {
    for (auto& field : device_object(resynced->device)) body.insert(field);
    body["drift_steps"] = resynced->drift_steps;
  }
  if (resynced->kind == engine::Resynced::Kind::locked && resynced->retry_after_s != 0) {
    body["retry_after_s"] = resynced->retry_after_s;
  }
  return json_answer(200, body);
}

}  // namespace watchword::api
