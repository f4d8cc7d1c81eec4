// <|START_ACTION|>[{"tool_name", "parameters"}]<|END_ACTION|>: Command R7B and later; "Action:" and
// a fence before.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& /*tools*/) {
  if (open == "Action:") return std::make_unique<JsonMachine>(JsonMachineOptions{.fenced = true});
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"<|END_ACTION|>"}});
}

}  // namespace

constinit const ToolFormat kCohereCommandFormat = {
    .name = "cohere_command",
    .aliases = {"cohere_command3", "cohere_command4", "cohere"},
    .opens = {"<|START_ACTION|>", "Action:"},
    .tags = {"<|END_ACTION|>"},
    .make = make,
    .shape = {.group_begin = "<|START_ACTION|>[\n",
              .begin = "    {\"tool_call_id\": \"#\", \"tool_name\": \"",
              .middle = "\", \"parameters\": ",
              .end = "}",
              .separator = ",\n",
              .group_end = "\n]<|END_ACTION|>"},
};

}  // namespace vsurge::api
