#include "api/portal_person.h"

#include <algorithm>

namespace watchword::api {

Standing PersonCall::standing() const {
  Standing standing;
  standing.policy = call.engine().policy.copy();
  standing.proven = session.step_up_until_s > call.now.seconds();
  if (engine::Answer<engine::UserView> view = call.engine().registrar.get(user, call.now)) standing.user = std::move(*view);
  standing.active =
      static_cast<unsigned>(std::count_if(standing.user.devices.begin(), standing.user.devices.end(),
                                          [](const auto& device) { return device.status == engine::DeviceStatus::active; }));
  return standing;
}

}  // namespace watchword::api
