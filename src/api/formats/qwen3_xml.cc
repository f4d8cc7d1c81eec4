// As qwen3_coder, and <function name="NAME">: other Qwen templates.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kQwen3XmlFormat =
    function_tags("qwen3_xml", {}, {"<tool_call>", "<function=", "<function name="});

}  // namespace vsurge::api
