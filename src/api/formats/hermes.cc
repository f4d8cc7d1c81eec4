// <tool_call>{"name": ..., "arguments": {...}}</tool_call>: Hermes, Qwen 2.5 and 3, and many
// others.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</tool_call>"}});
}

}  // namespace

constinit const ToolFormat kHermesFormat = {
    .name = "hermes",
    .aliases = {"qwen", "qwen25", "qwen3", "qwen2d5", "nous", "smollm3", "mimo", "bielik"},
    .opens = {"<tool_call>"},
    .tags = {"</tool_call>"},
    .make = make,
    .shape = {.begin = "<tool_call>\n{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}\n</tool_call>",
              .separator = "\n"},
};

}  // namespace vsurge::api
