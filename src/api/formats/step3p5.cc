// As qwen3_coder: Step 3.5.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  XmlMachineOptions options{.around = {"<tool_call>", "</tool_call>"}};
  options.in_function = open == options.function_begin;
  return std::make_unique<XmlMachine>(options, tools);
}

}  // namespace

constinit const ToolFormat kStep3p5Format = {
    .name = "step3p5",
    .aliases = {"step3.5"},
    .opens = {"<tool_call>", "<function="},
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
