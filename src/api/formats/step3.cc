// <｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke
// name="f"><steptml:parameter name="p">: Step 3.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  return std::make_unique<XmlMachine>(
      XmlMachineOptions{
          .function_begin = "<steptml:invoke name=",
          .function_end = "</steptml:invoke>",
          .parameter_begin = "<steptml:parameter name=",
          .parameter_end = "</steptml:parameter>",
          .around = {"<｜tool_call_begin｜>", "function", "<｜tool_sep｜>", "<｜tool_call_end｜>"},
          .group_end = "<｜tool_calls_end｜>"},
      tools);
}

}  // namespace

constinit const ToolFormat kStep3Format = {
    .name = "step3",
    .aliases = {},
    .opens = {"<｜tool_calls_begin｜>"},
    .tags = {"<｜tool_call_begin｜>", "<｜tool_sep｜>", "<｜tool_call_end｜>",
             "<｜tool_calls_end｜>"},
    .make = make,
    .shape = {.group_begin = "<｜tool_calls_begin｜>",
              .begin = "<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name=\"",
              .middle = "\">",
              .end = "</steptml:invoke><｜tool_call_end｜>",
              .group_end = "<｜tool_calls_end｜>",
              .parameter = CallShape::Parameter{.begin = "<steptml:parameter name=\"",
                                                .middle = "\">",
                                                .end = "</steptml:parameter>",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
