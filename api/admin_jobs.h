// The jobs behind the administrative routes. A job runs after its route has checked method, scope, path and media type.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/access_keys.h"
#include "api/admin_route.h"
#include "api/message.h"
#include "api/portal_links.h"
#include "engine/engine.h"

namespace watchword::api {

struct AdminCall {
  engine::Engine& engine;
  AccessKeys& keys;
  std::mutex& policy_changes;  // held from the comparison of ETags to the publication
  const Request& request;
  const Target& target;
  engine::UnixMillis now;
  PortalLinks& links;
  const std::string& base_url;  // of links
  std::int64_t link_expires_s;
  const std::function<void(const std::string& user)>& user_removed;
  // Present where the route's pattern has {user}, {device}, {key}.
  std::optional<engine::UserName> user = {};
  engine::DeviceId device = {};
  std::string key = {};
};

inline constexpr const char* device_name_rule = "A device name has 1 to 64 characters, without control characters.";
// A code in a body: a text of six to eight digits. Faults are the fields' own.
std::optional<engine::Code> code_field(JsonFields& fields, std::string_view name);

// What a body says of a new device. Faults are the fields' own.
engine::NewDevice new_device(JsonFields& fields);

using Job = Response (*)(const AdminCall& call);

// admin_users.cc
Response list_users(const AdminCall& call);
Response show_user(const AdminCall& call);
Response remove_user(const AdminCall& call);
Response unlock_user(const AdminCall& call);
Response show_requirement(const AdminCall& call);

Response make_recovery_codes(const AdminCall& call);

// admin_devices.cc
Response list_devices(const AdminCall& call);
Response show_device(const AdminCall& call);
Response patch_device(const AdminCall& call);
Response remove_device(const AdminCall& call);
Response resync_device(const AdminCall& call);

// admin_registration.cc
Response begin_registration(const AdminCall& call);
Response show_qr_svg(const AdminCall& call);
Response show_qr_png(const AdminCall& call);
Response confirm_registration(const AdminCall& call);

// admin_portal_links.cc
Response make_portal_link(const AdminCall& call);

// admin_policy.cc
Response show_policy(const AdminCall& call);
Response replace_policy(const AdminCall& call);

// admin_audit.cc
Response list_audit(const AdminCall& call);

// admin_keys.cc
Response list_keys(const AdminCall& call);
Response create_key(const AdminCall& call);
Response rotate_key(const AdminCall& call);
Response revoke_key(const AdminCall& call);

// admin_key_rotation.cc
Response show_data_keys(const AdminCall& call);
Response rotate_data_keys(const AdminCall& call);

// admin_backup.cc
Response make_backup(const AdminCall& call);

// admin_bulk.cc
class ImportRows;
Response import_devices(const AdminCall& call);
Response export_devices(const AdminCall& call);
// For a body that comes in pieces: its request is checked as import_devices() does.
tl::expected<std::unique_ptr<ImportRows>, Response> begin_import(const AdminCall& call);

}  // namespace watchword::api
