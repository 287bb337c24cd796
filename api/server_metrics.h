// What the HTTP side counts, registered for scrapes.
#pragma once

#include <memory>
#include <vector>

#include "api/event_loop.h"
#include "api/listener.h"
#include "api/services.h"

namespace watchword::api {

// Before the loops' threads start; `services.exposition` is there. All three live as long as it is scraped.
void expose(Services& services, const std::vector<std::unique_ptr<EventLoop>>& loops,
            const std::vector<std::unique_ptr<Listener>>& listeners);

}  // namespace watchword::api
