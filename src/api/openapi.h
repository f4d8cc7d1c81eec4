// What the server can do, for machines and people: /openapi.json, /docs and /v1/tools.
#pragma once

#include <string>

#include "access/api_key.h"
#include "api/service_hub.h"

namespace vsurge::api {

// OpenAPI 3.1, made of the tables of routes and fields. Fields that are refused are not in it.
std::string openapi_json(const ServiceHub& hub);
// The same as a page of HTML that needs nothing else.
std::string docs_html(const ServiceHub& hub);
// The seed's: how each model calls tools.
std::string tools_json(const ServiceHub& hub, const access::ApiKey* key);

}  // namespace vsurge::api
