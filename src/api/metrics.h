// What /metrics answers. Internal to api.
#pragma once

#include <string>
#include <string_view>

#include "api/service_hub.h"

namespace vsurge::api {

inline constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// Prometheus's text: vLLM's metrics under its names, our own under "vsurge:".
std::string metrics_text(const ServiceHub& hub);
// The seed's JSON.
std::string metrics_json(const ServiceHub& hub);
// Whether a client whose Accept header is this wants that.
bool wants_json(std::string_view accept);

}  // namespace vsurge::api
