// DSML: <｜DSML｜function_calls><｜DSML｜invoke name="f"><｜DSML｜parameter name="p"
// string="true">: DeepSeek V3.2.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  return std::make_unique<XmlMachine>(
      XmlMachineOptions{.function_begin = "<｜DSML｜invoke name=",
                        .function_end = "</｜DSML｜invoke>",
                        .parameter_begin = "<｜DSML｜parameter name=",
                        .parameter_end = "</｜DSML｜parameter>",
                        .typed_parameters = true,
                        .group_end = "</｜DSML｜function_calls>"},
      tools);
}

}  // namespace

constinit const ToolFormat kDeepseekV32Format = {
    .name = "deepseek_v32",
    .aliases = {"deepseekv32", "deepseek_v4", "deepseekv4", "deepseek-v32"},
    .opens = {"<｜DSML｜function_calls>"},
    .tags = {"｜DSML｜"},
    .make = make,
    .shape = {.group_begin = "<｜DSML｜function_calls>\n",
              .begin = "<｜DSML｜invoke name=\"",
              .middle = "\">\n",
              .end = "</｜DSML｜invoke>\n",
              .group_end = "</｜DSML｜function_calls>",
              .parameter = CallShape::Parameter{.begin = "<｜DSML｜parameter name=\"",
                                                .middle = "\" string=\"?\">",
                                                .end = "</｜DSML｜parameter>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
