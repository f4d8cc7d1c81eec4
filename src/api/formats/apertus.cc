// <|tools_prefix|>[{"f": {...}}]<|tools_suffix|>: Apertus.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(
      JsonMachineOptions{.closes = {"<|tools_suffix|>"}, .key_is_name = true});
}

}  // namespace

constinit const ToolFormat kApertusFormat = {
    .name = "apertus",
    .aliases = {"apertus2509"},
    .opens = {"<|tools_prefix|>"},
    .tags = {"<|tools_suffix|>"},
    .make = make,
    .shape = {.group_begin = "<|tools_prefix|>[",
              .begin = "{\"",
              .middle = "\": ",
              .end = "}",
              .separator = ", ",
              .group_end = "]<|tools_suffix|>"},
};

}  // namespace vsurge::api
