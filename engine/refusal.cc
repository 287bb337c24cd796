// What the registrar refuses, by name.
#include "engine/registrar.h"

namespace watchword::engine {

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::user_not_found:
      return "user_not_found";
    case Refusal::device_not_found:
      return "device_not_found";
    case Refusal::name_taken:
      return "name_taken";
    case Refusal::device_limit:
      return "device_limit";
    case Refusal::not_pending:
      return "not_pending";
    case Refusal::not_active:
      return "not_active";
    case Refusal::expired:
      return "expired";
    case Refusal::secret_too_short:
      return "secret_too_short";
    case Refusal::secret_too_long:
      return "secret_too_long";
    case Refusal::secret_registered:
      return "secret_registered";
    case Refusal::bad_parameters:
      return "bad_parameters";
    case Refusal::code_length:
      return "code_length";
    case Refusal::changed_meanwhile:
      return "changed_meanwhile";
    case Refusal::store_unavailable:
      return "store_unavailable";
  }
  return "unknown";
}

}  // namespace watchword::engine
