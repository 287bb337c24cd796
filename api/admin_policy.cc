#include <algorithm>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/if_match.h"
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

}  // namespace

Response show_policy(const AdminCall& call) {
  return policy_answer(call.engine.policy.copy());
}

Response replace_policy(const AdminCall& call) {
  const tl::expected<engine::Policy, RequestFault> wanted = parse_policy(call.request.body);
  if (!wanted) return problem(wanted.error());
  const std::lock_guard lock(call.policy_changes);
  const engine::Policy before = call.engine.policy.copy();
  const auto seen = wanted_tags(call.request.if_match);
  const auto is_this = [tag = policy_etag(before)](const std::string& one) { return etag(one) == tag; };
  if (seen && std::none_of(seen->begin(), seen->end(), is_this)) {
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
