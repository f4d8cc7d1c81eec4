// <|tool_call|>[{...}], or in tags: IBM Granite.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& /*tools*/) {
  // An array ends where its bracket does; tags have their own end.
  if (open == "<|tool_call|>") return std::make_unique<JsonMachine>(JsonMachineOptions{});
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</tool_call>"}});
}

}  // namespace

constinit const ToolFormat kGraniteFormat = {
    .name = "granite",
    .aliases = {"granite4"},
    .opens = {"<|tool_call|>", "<tool_call>"},
    .tags = {"</tool_call>"},
    .make = make,
    .shape = {.group_begin = "<|tool_call|>[",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = ", ",
              .group_end = "]"},
};

}  // namespace vsurge::api
