// Hermes, Qwen 2.5 and 3, and many others.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kHermesFormat = tool_call_json(
    "hermes", {"qwen", "qwen25", "qwen3", "qwen2d5", "nous", "smollm3", "mimo", "bielik"});

}  // namespace vsurge::api
