// What an admin does to engines. Internal to api.
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
//
// Of the model that `?model=` or the body's member `model` names, else of all; where there are
// several, "models" has the same of each.
ApiResult<std::string> answer_admin(const ServiceHub& hub, Target target,
                                    const HttpRequest& request);

// `model` of the query or, where that has none, of the body; empty: neither names one.
ApiResult<std::string> model_asked_for(const HttpRequest& request);

}  // namespace vsurge::api
