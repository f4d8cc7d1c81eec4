// As qwen3_coder, and <function name="NAME">: other Qwen templates.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  XmlMachineOptions options{.around = {"<tool_call>", "</tool_call>"}};
  if (open == "<function name=") {
    options.function_begin = "<function name=";
    options.parameter_begin = "<parameter name=";
  }
  options.in_function = open != "<tool_call>";
  return std::make_unique<XmlMachine>(options, tools);
}

}  // namespace

constinit const ToolFormat kQwen3XmlFormat = {
    .name = "qwen3_xml",
    .aliases = {},
    .opens = {"<tool_call>", "<function=", "<function name="},
    .tags = {"</tool_call>"},
    .make = make,
    .shape = {.begin = "<tool_call>\n<function=",
              .middle = ">\n",
              .end = "</function>\n</tool_call>",
              .separator = "\n",
              .parameter = CallShape::Parameter{.begin = "<parameter=",
                                                .middle = ">\n",
                                                .end = "\n</parameter>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
