#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/policy_document.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

Response policy_answer(const engine::Policy& policy) {
  Response response;
  response.body = policy_document(policy);
  response.headers.emplace_back("ETag", policy_etag(policy));
  return response;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// RFC 9110 section 13.1.1: a list of tags, or "*" for whatever there is. Comparison is strong, so W/"..." never matches.
bool matches(std::string_view if_match, std::string_view etag) {
  while (!if_match.empty()) {
    const std::size_t comma = std::min(if_match.find(','), if_match.size());
    const std::string_view tag = trimmed(if_match.substr(0, comma));
    if (tag == "*" || tag == etag) return true;
    if_match.remove_prefix(std::min(comma + 1, if_match.size()));
  }
  return false;
}

}  // namespace

Response show_policy(const AdminCall& call) {
  return policy_answer(call.engine.policy.copy());
}

Response replace_policy(const AdminCall& call) {
  const tl::expected<engine::Policy, RequestFault> wanted = parse_policy(call.request.body);
  if (!wanted) return problem(wanted.error());
  const std::lock_guard lock(call.policy_changes);
  const std::string& if_match = call.request.if_match;
  const engine::Policy before = call.engine.policy.copy();
  if (!if_match.empty() && !matches(if_match, policy_etag(before))) {
    return problem(412, "policy_changed", "Somebody has changed the policy since. Read it again, then decide.");
  }
  engine::Change change;
  change.put_documents.emplace_back(policy_document_name, policy_document(*wanted));
  change.audit.push_back({.at = call.now,
                          .origin = call.request.origin,
                          .action = "policy.replace",
                          .user = {},
                          .device = {},
                          .detail = R"({"old":)" + policy_document(before) + R"(,"new":)" + policy_document(*wanted) + "}"});
  if (call.engine.committer.commit(change) != engine::Outcome::durable) return refused(engine::Refusal::store_unavailable);
  call.engine.policy.replace(*wanted);
  return policy_answer(*wanted);
}

}  // namespace watchword::api
