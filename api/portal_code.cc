// Proving a device that a person has: a verification like any other, made for the portal.
#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_json.h"
#include "api/portal_person.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

Response not_verified(const WaitingVerifier::Refused& refused) {
  switch (refused.refusal) {
    case WaitingVerifier::Refusal::wrong_length:
      return problem(422, "code_length",
                     "The code of this person's device has " + std::to_string(refused.expected_digits) + " digits.", "code");
    case WaitingVerifier::Refusal::overloaded:
      return problem(503, "overloaded", overloaded_detail);
    case WaitingVerifier::Refusal::store_unavailable:
      break;
  }
  return problem(503, "store_unavailable", "The answer could not be made durable. Nothing was accepted. Try again later.");
}

// Hashes slowly: routes.h sends this path to the threads for that.
Response prove_by_recovery_code(const PersonCall& person, const engine::RecoveryCode& code) {
  const engine::Answer<engine::RecoveryUse> use = person.call.engine().registrar.use_recovery_code(
      person.user, code, 0, person.call.origin(person.actor()), person.call.now);
  if (!use) return refused(use.error());
  json::object body{{"result", engine::to_string(use->result)}};
  if (use->retry_after_s > 0) body["retry_after_s"] = use->retry_after_s;
  if (use->hard_locked) body["hard_locked"] = true;
  if (use->result == engine::Result::accepted) {
    body["recovery_codes_left"] = use->left;
    body["step_up_until"] = utc_text(person.prove());
  }
  return json_answer(200, body);
}

}  // namespace

Response prove_own_device(const PersonCall& person, const std::string&) {
  JsonFields fields(person.call.request.body);
  const std::string text = fields.text("code");
  const std::optional<engine::Code> code = engine::Code::parse(text);
  const std::optional<engine::RecoveryCode> recovery_code = engine::RecoveryCode::parse(text);
  if (!code && !recovery_code) {
    fields.refuse("code", "A code is a text of 6 to 8 digits, or a recovery code of 16 letters and digits in four groups.");
  }
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  if (recovery_code) return prove_by_recovery_code(person, *recovery_code);
  const engine::VerifyRequest request{.user = person.user.text(), .code = *code, .device = std::nullopt};
  const auto verdict = person.call.verifier().verify(request, person.call.origin(person.actor()), person.call.now);
  if (!verdict) return not_verified(verdict.error());
  json::object body{{"result", engine::to_string(verdict->result)}};
  if (verdict->retry_after_s > 0) body["retry_after_s"] = verdict->retry_after_s;
  if (verdict->hard_locked) body["hard_locked"] = true;
  if (verdict->result == engine::Result::accepted) body["step_up_until"] = utc_text(person.prove());
  return json_answer(200, body);
}

}  // namespace watchword::api
