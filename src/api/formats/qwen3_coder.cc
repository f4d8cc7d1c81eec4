// <tool_call><function=NAME><parameter=K>V</parameter></function></tool_call>: Qwen3-Coder,
// Qwen 3.5, Nemotron 3.
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

constinit const ToolFormat kQwen3CoderFormat = {
    .name = "qwen3_coder",
    .aliases = {"qwen3coder", "qwen3.5", "nemotron3nano", "nemotron_v3", "minicpm5"},
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
