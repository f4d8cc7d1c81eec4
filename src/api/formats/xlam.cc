// Calls as bare or fenced JSON, or behind [TOOL_CALLS] or <tool_call>: xLAM.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  if (open == "<tool_call>") {
    return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</tool_call>"}});
  }
  const bool marked = open == "[TOOL_CALLS]";
  return std::make_unique<JsonMachine>(
      JsonMachineOptions{.offered = marked ? nullptr : &tools, .fenced = true});
}

}  // namespace

constinit const ToolFormat kXlamFormat = {
    .name = "xlam",
    .aliases = {},
    .opens = {"```json", "[TOOL_CALLS]", "<tool_call>"},
    .first_characters = "{[",
    .tags = {"</tool_call>"},
    .make = make,
    .shape = {.group_begin = "[",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = ", ",
              .group_end = "]"},
};

}  // namespace vsurge::api
