// The objects and refusals that several administrative answers share.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "api/message.h"
#include "engine/registrar.h"

namespace watchword::api {

Response json_answer(unsigned status, const boost::json::object& body);
// 204: done, nothing to say.
Response empty_answer();

// With the ETag that a later If-Match can name.
Response tagged(Response response, std::string_view tag);

boost::json::object device_object(const engine::DeviceView& device);
boost::json::object user_object(const engine::UserView& user);

// What the registrar refuses, in words, and the field that is at fault (empty: none).
std::string_view refused_detail(engine::Refusal refusal);
std::string_view refused_field(engine::Refusal refusal);

// The problem document for what the registrar refuses. `code_field` is the body's field that a code of wrong length came in.
Response refused(engine::Refusal refusal, std::string_view code_field = "code");

}  // namespace watchword::api
