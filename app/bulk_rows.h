// The rows of import and export: one device each.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "engine/bulk_registration.h"
#include "engine/store.h"

namespace watchword::app {

inline constexpr std::string_view csv_header = "user,name,secret,algorithm,digits,period";

// A row, or why it is none, in words that hold nothing of the secret.
tl::expected<engine::BulkRow, std::string> parse_row(std::string_view line);
std::string explain(engine::Refusal refusal, const engine::BulkRegistration::Options& options);

// Without line end. The secret's field is empty unless asked for.
std::string write_row(const std::string& user, const engine::DeviceRecord& device, bool with_secret);

}  // namespace watchword::app
