// <minimax:tool_call><invoke name="f"><parameter
// name="p">v</parameter></invoke></minimax:tool_call>: MiniMax M2.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  return std::make_unique<XmlMachine>(XmlMachineOptions{.function_begin = "<invoke name=",
                                                        .function_end = "</invoke>",
                                                        .parameter_begin = "<parameter name=",
                                                        .parameter_end = "</parameter>",
                                                        .group_end = "</minimax:tool_call>"},
                                      tools);
}

}  // namespace

constinit const ToolFormat kMinimaxM2Format = {
    .name = "minimax_m2",
    .aliases = {"minimax-m2", "minimax_m3", "minimax-m3"},
    .opens = {"<minimax:tool_call>"},
    .tags = {"</minimax:tool_call>"},
    .make = make,
    .shape = {.group_begin = "<minimax:tool_call>\n",
              .begin = "<invoke name=\"",
              .middle = "\">\n",
              .end = "</invoke>\n",
              .group_end = "</minimax:tool_call>",
              .parameter = CallShape::Parameter{.begin = "<parameter name=\"",
                                                .middle = "\">",
                                                .end = "</parameter>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
