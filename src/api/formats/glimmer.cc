// <atem:function_calls><atem:invoke name="f"><atem:parameter name="p">: Glimmer.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  return std::make_unique<XmlMachine>(XmlMachineOptions{.function_begin = "<atem:invoke name=",
                                                        .function_end = "</atem:invoke>",
                                                        .parameter_begin = "<atem:parameter name=",
                                                        .parameter_end = "</atem:parameter>",
                                                        .group_end = "</atem:function_calls>"},
                                      tools);
}

}  // namespace

constinit const ToolFormat kGlimmerFormat = {
    .name = "glimmer",
    .aliases = {"atem"},
    .opens = {"<atem:function_calls>"},
    .make = make,
    .shape = {.group_begin = "<atem:function_calls>\n",
              .begin = "<atem:invoke name=\"",
              .middle = "\">\n",
              .end = "</atem:invoke>\n",
              .group_end = "</atem:function_calls>",
              .parameter = CallShape::Parameter{.begin = "<atem:parameter name=\"",
                                                .middle = "\">",
                                                .end = "</atem:parameter>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
