// What the commands that own the data directory leave in its audit trail.
#pragma once

#include <string>

#include "engine/store.h"

namespace watchword::app {

// Under the actor `cli`, now. `detail`: the text of a JSON object. Throws std::runtime_error where the store takes no write.
void tell_in_trail(engine::Store& store, const std::string& action, std::string detail);

}  // namespace watchword::app
