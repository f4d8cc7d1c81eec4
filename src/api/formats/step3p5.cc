// As qwen3_coder: Step 3.5.
#include "api/formats/shared_formats.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {

constinit const ToolFormat kStep3p5Format =
    function_tags("step3p5", {"step3.5"}, {"<tool_call>", "<function="});

}  // namespace vsurge::api
