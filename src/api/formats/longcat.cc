// <longcat_tool_call>{...}</longcat_tool_call>: LongCat.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</longcat_tool_call>"}});
}

}  // namespace

constinit const ToolFormat kLongcatFormat = {
    .name = "longcat",
    .aliases = {},
    .opens = {"<longcat_tool_call>"},
    .tags = {"</longcat_tool_call>"},
    .make = make,
    .shape = {.begin = "<longcat_tool_call>{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}</longcat_tool_call>"},
};

}  // namespace vsurge::api
