#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

json::array scope_list(Scopes scopes) {
  json::array names;
  for (const std::string& name : scope_names(scopes)) names.emplace_back(name);
  return names;
}

Scopes scopes_field(JsonFields& fields) {
  Scopes scopes = 0;
  for (const std::string& name : fields.texts("scopes")) {
    const std::optional<Scope> scope = parse_scope(name);
    if (!scope) fields.refuse("scopes", "Scopes are verify, enroll, read, admin, audit and metrics.");
    if (scope) scopes = static_cast<Scopes>(scopes | static_cast<Scopes>(*scope));
  }
  return scopes;
}

Response key_refused(AccessKeys::Refusal refusal) {
  using Refusal = AccessKeys::Refusal;
  switch (refusal) {
    case Refusal::not_found:
      return problem(404, "key_not_found", "There is no API key with that id.");
    case Refusal::last_admin:
      return problem(409, "last_admin_key", "This is the last key with the scope admin. Make another one first.");
    case Refusal::bad_name:
      return problem(400, "bad_request", "A key's name has 1 to 64 characters, without control characters.", "name");
    case Refusal::no_scopes:
      return problem(400, "bad_request", "A key needs one scope at least.", "scopes");
    case Refusal::store_unavailable:
      break;
  }
  return refused(engine::Refusal::store_unavailable);
}

}  // namespace

Response list_keys(const AdminCall& call) {
  json::array list;
  for (const AccessKeyView& key : call.keys.list()) {
    list.push_back(json::object{
        {"id", key.id}, {"name", key.name}, {"scopes", scope_list(key.scopes)}, {"created_at", utc_text(key.created_at_s)}});
  }
  return json_answer(200, {{"api_keys", std::move(list)}});
}

Response create_key(const AdminCall& call) {
  JsonFields fields(call.request.body);
  const std::string name = fields.text("name");
  const Scopes scopes = scopes_field(fields);
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  const tl::expected<NewAccessKey, AccessKeys::Refusal> made = call.keys.create(name, scopes, call.request.origin, call.now);
  if (!made) return key_refused(made.error());
  return json_answer(
      201,
      {{"id", made->view.id}, {"key", made->key}, {"name", made->view.name}, {"scopes", scope_list(made->view.scopes)}});
}

Response revoke_key(const AdminCall& call) {
  const auto revoked = call.keys.revoke(call.key, call.request.origin, call.now);
  return revoked ? empty_answer() : key_refused(revoked.error());
}

}  // namespace watchword::api
