// <tool_calls>[{...}]</tool_calls>: Jamba.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</tool_calls>"}});
}

}  // namespace

constinit const ToolFormat kJambaFormat = {
    .name = "jamba",
    .aliases = {},
    .opens = {"<tool_calls>"},
    .tags = {"</tool_calls>"},
    .make = make,
    .shape = {.group_begin = "<tool_calls>[\n",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = ",\n",
              .group_end = "\n]</tool_calls>"},
};

}  // namespace vsurge::api
