#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/problem.h"

namespace watchword::api {

Response make_portal_link(const AdminCall& call) {
  std::int64_t expires_in_s = call.link_expires_s;
  if (!call.request.body.empty()) {
    JsonFields fields(call.request.body);
    expires_in_s = fields.optional_integer("expires_in_s").value_or(expires_in_s);
    if (expires_in_s < link_expires_s_min || expires_in_s > link_expires_s_max) {
      fields.refuse("expires_in_s",
                    fmt::format("A link is good for {} to {} seconds.", link_expires_s_min, link_expires_s_max));
    }
    if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  }
  const auto made = call.links.make(*call.user, expires_in_s, call.request.origin, call.now);
  if (!made) {
    return problem(503, "store_unavailable", "The store cannot write at the moment. Try again later.");
  }
  // A fragment: no server, log or Referer ever sees it, and a look-ahead of a mail program does not use it up.
  return json_answer(
      201, {{"url", call.base_url + "/portal/#link=" + made->token}, {"expires_at", utc_text(made->expires_at_s)}});
}

}  // namespace watchword::api
