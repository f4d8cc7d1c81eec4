// What an admin does to the engine. Internal to api.
#pragma once

#include <string>

#include "api/routes.h"
#include "api/service_core.h"

namespace vsurge::api {

// The answer to one of the routes for admins: {"status", "paused", "draining", "running",
// "waiting", "pages_used", "pages_total", "pages_cached"} as things stand then. None waits: a pause
// takes effect when the step in hand has ended; what runs keeps its state, what comes waits. A
// drain refuses what comes; what runs goes on. Resuming undoes both. After a reset of the cache
// nothing computed so far is shared with requests that come later.
std::string answer_admin(ServiceCore& core, Target target);

}  // namespace vsurge::api
