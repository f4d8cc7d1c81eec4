// Qwen3-Coder, Qwen 3.5, Nemotron 3.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kQwen3CoderFormat = function_tags(
    "qwen3_coder", {"qwen3coder", "qwen3.5", "nemotron3nano", "nemotron_v3", "minicpm5"},
    {"<tool_call>", "<function="});

}  // namespace vsurge::api
