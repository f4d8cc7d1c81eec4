// <tool_call>NAME, then <arg_key> and <arg_value> pairs: GLM 4.5 and 4.6.
#include "api/formats/glm_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& tools) {
  return std::make_unique<GlmMachine>(tools);
}

}  // namespace

constinit const ToolFormat kGlm45Format = {
    .name = "glm45",
    .aliases = {"glm-4.5", "glm", "glm4"},
    .opens = {"<tool_call>"},
    .tags = {"</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"},
    .make = make,
    .shape = {.begin = "<tool_call>",
              .middle = "\n",
              .end = "</tool_call>",
              .separator = "\n",
              .parameter = CallShape::Parameter{.begin = "<arg_key>",
                                                .middle = "</arg_key>\n<arg_value>",
                                                .end = "</arg_value>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
