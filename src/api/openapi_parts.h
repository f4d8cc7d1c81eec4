// Schemas of /openapi.json that no table of fields tells: parts of requests, and answers.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace vsurge::api {

// JSON schema of the field `name` of `body` ("chat"), or of all bodies that have it; empty where
// nothing is written of it.
std::string_view part_schema(std::string_view body, std::string_view name);

// The schemas that the others refer to as #/components/schemas/NAME.
boost::json::object component_schemas();

}  // namespace vsurge::api
