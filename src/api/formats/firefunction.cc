//  functools[{...}]: FireFunction v2.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kFirefunctionFormat =
    functools("firefunction", {"firefunction-v2"}, " functools[");

}  // namespace vsurge::api
