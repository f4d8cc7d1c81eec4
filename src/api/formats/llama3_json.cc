// {"name": ..., "parameters": {...}}, with ; between: Llama 3.1 to 3.3, 4.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  // Without a mark an answer may be JSON: only what names a tool is a call.
  return std::make_unique<JsonMachine>(
      JsonMachineOptions{.offered = open.empty() ? &tools : nullptr});
}

}  // namespace

constinit const ToolFormat kLlama3JsonFormat = {
    .name = "llama3_json",
    .aliases = {"llama4_json", "llama3", "llama"},
    .opens = {"<|python_tag|>"},
    .first_characters = "{",
    .make = make,
    .shape =
        {.begin = "{\"name\": \"", .middle = "\", \"parameters\": ", .end = "}", .separator = "; "},
};

}  // namespace vsurge::api
