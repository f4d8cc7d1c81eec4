// <tool_call>{...}</tool_call> behind </think>: ERNIE 4.5.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</tool_call>"}});
}

}  // namespace

constinit const ToolFormat kErnie45Format = {
    .name = "ernie45",
    .aliases = {},
    .opens = {"<tool_call>"},
    .tags = {"</tool_call>"},
    .make = make,
    .shape = {.begin = "<tool_call>\n{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}\n</tool_call>",
              .separator = "\n"},
};

}  // namespace vsurge::api
