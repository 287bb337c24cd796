// A store's keys as JSON: versions, ages and fingerprints, never a key.
#pragma once

#include <string>

#include <boost/json/object.hpp>

#include "engine/key_rotation.h"

namespace watchword::api {

boost::json::object keys_object(const engine::KeysReport& keys);
// For the audit trail, of a rotation that is about to happen to these keys.
std::string rotation_detail(const engine::KeysReport& keys, const engine::RotationRequest& request);

}  // namespace watchword::api
