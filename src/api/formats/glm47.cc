// As glm45, without line ends: GLM 4.7 and 5.
#include "api/formats/glm_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& tools) {
  return std::make_unique<GlmMachine>(tools);
}

}  // namespace

constinit const ToolFormat kGlm47Format = {
    .name = "glm47",
    .aliases = {"glm-4.7"},
    .opens = {"<tool_call>"},
    .tags = {"</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"},
    .make = make,
    .shape = {.begin = "<tool_call>",
              .end = "</tool_call>",
              .parameter = CallShape::Parameter{.begin = "<arg_key>",
                                                .middle = "</arg_key><arg_value>",
                                                .end = "</arg_value>",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
