// A person in the portal, and what may be done in that person's name. Part of PortalPlane.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/admin_jobs.h"
#include "api/portal_call.h"

namespace watchword::api {

// What a person has, in the words of the portal's first page.
struct Standing {
  engine::UserView user;
  unsigned active = 0;
  engine::Policy policy;
  bool proven = false;  // a code of an existing device was given lately

  bool code_needed() const { return active > 0 && !proven; }
  std::string_view hindrance() const {
    if (policy.self_registration == engine::SelfRegistration::denied) return "policy_denied";
    if (active >= policy.max_devices_per_user) return "device_limit";
    return code_needed() ? "code_needed" : "";
  }
};

struct PersonCall {
  const PortalCall& call;
  const Session session;
  const engine::UserName user;

  // What a person may do with own devices, through the administrative plane.
  static constexpr Scopes scopes =
      static_cast<Scopes>(static_cast<Scopes>(Scope::enroll) | static_cast<Scopes>(Scope::read));

  std::string actor() const { return "portal:" + user.text(); }
  std::string path(std::string_view rest) const { return "/v1/users/" + percent_encode(user.text()) + std::string(rest); }
  Response administer(Method verb, std::string_view rest, std::string body = {}) const {
    return call.administer(verb, path(rest), std::move(body), scopes, 0, actor());
  }
  Standing standing() const;
  void change(const std::function<void(Session&)>& change) const {
    call.sessions().change(SessionKind::portal, call.session_id(SessionKind::portal), change);
  }
  // A code of an existing device counts from now on; returns until when.
  std::int64_t prove() const {
    const std::int64_t until = call.now.seconds() + call.options().step_up.count();
    change([&](Session& kept) { kept.step_up_until_s = until; });
    return until;
  }
};

// portal_code.cc
Response prove_own_device(const PersonCall& person, const std::string&);

}  // namespace watchword::api
