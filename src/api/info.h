// The small answers about the server itself. Internal to api.
#pragma once

#include <string>
#include <string_view>

#include "api/service_core.h"

namespace vsurge::api {

std::string models_json(const ServiceCore& core);
// `name` is one of the served names.
std::string model_json(const ServiceCore& core, std::string_view name);
// Takes new work; else /health answers 503.
bool is_healthy(const ServiceCore& core);
std::string health_json(const ServiceCore& core);
std::string version_json(const ServiceCore& core);

}  // namespace vsurge::api
