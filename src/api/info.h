// The small answers about the server itself. Internal to api.
#pragma once

#include <string>
#include <string_view>

#include "api/service_core.h"

namespace vsurge::api {

std::string models_json(const ServiceCore& core);
// `name` is one of the served names.
std::string model_json(const ServiceCore& core, std::string_view name);
// Takes new work and gets on with it; else /health and /ready answer 503.
bool is_healthy(const ServiceCore& core);
// "ready", "loading", "shutting_down", "error" (the engine has failed), "stuck", "draining" or
// "paused".
std::string_view status_word(const ServiceCore& core);
std::string ready_json(const ServiceCore& core);
std::string health_json(const ServiceCore& core);
std::string version_json(const ServiceCore& core);

}  // namespace vsurge::api
