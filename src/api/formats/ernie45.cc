// As hermes, behind </think>: ERNIE 4.5.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kErnie45Format = tool_call_json("ernie45", {});

}  // namespace vsurge::api
