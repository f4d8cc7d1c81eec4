// The small answers about the server itself. Internal to api.
#pragma once

#include <string>
#include <string_view>

#include "access/api_key.h"
#include "api/service_core.h"

namespace vsurge::api {

// Those that the key may use.
std::string models_json(const ServiceHub& hub, const access::ApiKey* key);
// `name` is one of its names.
std::string model_json(const ModelEntry& model, std::string_view name);

// "ready", "loading", "shutting_down", "error" (an engine has failed), "stuck", "draining" or
// "paused". Of several models the server is what one that has failed or is stuck is, else ready if
// one is.
std::string_view status_word(const ServiceHub& hub);
// Of one model; "unloading", too.
std::string_view status_word(const ModelEntry& model);

// What a probe asks: GET /ready, GET /health. With `model` it asks of that one alone.
struct Probe {
  int status = 200;  // or 503
  std::string body;
};
// Whether there is a model that takes new work and gets on with it.
Probe answer_ready(const ServiceHub& hub, const ModelEntry* model);
// The same, and that no engine has failed or is stuck.
Probe answer_health(const ServiceHub& hub, const ModelEntry* model);

std::string version_json(const ServiceHub& hub);

}  // namespace vsurge::api
