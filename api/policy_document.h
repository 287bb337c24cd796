// The policy as JSON: one text for the REST contract, for the store (document "policy") and for its ETag.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "api/admin_json.h"
#include "engine/policy.h"
#include "engine/store.h"

namespace watchword::api {

inline constexpr std::string_view policy_document_name = "policy";

// Canonical: every field, in one order, without white space. Equal policies give equal text.
std::string policy_document(const engine::Policy& policy);
// Strong, from the canonical text: changes if and only if the policy does.
std::string policy_etag(const engine::Policy& policy);

// A whole policy: a field that is missing is a fault, since a default in its place would surprise. A value out of range is a
// fault with status 422.
tl::expected<engine::Policy, RequestFault> parse_policy(std::string_view text);

// For start-up: the stored policy; `fallback` where none was ever stored, and for single fields that the version that stored
// it did not know yet. Throws StoreError if the document cannot be read.
engine::Policy load_policy(engine::Store& store, engine::Policy fallback);

}  // namespace watchword::api
