#include "api/formats/shared_formats.h"

#include "api/formats/json_machine.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {

std::unique_ptr<CallMachine> make_tool_call_json(std::string_view /*open*/,
                                                 const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</tool_call>"}});
}

std::unique_ptr<CallMachine> make_function_tags(std::string_view open, const ToolSpecs& tools) {
  XmlMachineOptions options{.around = {"<tool_call>", "</tool_call>"}};
  if (open == "<function name=") {
    options.function_begin = "<function name=";
    options.parameter_begin = "<parameter name=";
  }
  options.in_function = open != "<tool_call>";
  return std::make_unique<XmlMachine>(options, tools);
}

std::unique_ptr<CallMachine> make_functools(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{});
}

}  // namespace vsurge::api
