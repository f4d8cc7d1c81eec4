// Calls as bare JSON, alone, in an array, nested as OpenAI does, or fenced.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& tools) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.offered = &tools, .fenced = true});
}

}  // namespace

constinit const ToolFormat kOpenaiFormat = {
    .name = "openai",
    .aliases = {},
    .opens = {"```json"},
    .first_characters = "{[",
    .make = make,
    .shape = {.group_begin = "[",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = ", ",
              .group_end = "]"},
};

}  // namespace vsurge::api
