// functools[{...}]: Phi-4-mini.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kPhi4MiniJsonFormat =
    functools("phi4_mini_json", {"phi4_mini"}, "functools[");

}  // namespace vsurge::api
