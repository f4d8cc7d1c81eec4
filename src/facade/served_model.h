// What the service is told of a vSurge.
#pragma once

#include <string>
#include <vector>

#include "api/model_loader.h"
#include "facade/surge_state.h"
#include "vsurge/api_server.h"

namespace vsurge::facade {

// By these names; the vSurge outlives it.
api::ServedModel served_model(vSurge::State& surge, std::vector<std::string> names,
                              const ApiServerOptions& options);

// kUsage for a format of tool calls or reasoning that there is not.
base::Status check_formats(const ApiServerOptions& options);

}  // namespace vsurge::facade
