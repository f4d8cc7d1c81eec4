// <TOOLCALL>[{...}]</TOOLCALL>: Nemotron.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"</TOOLCALL>"}});
}

}  // namespace

constinit const ToolFormat kNemotronFormat = {
    .name = "nemotron",
    .aliases = {"nemotron_json"},
    .opens = {"<TOOLCALL>"},
    .tags = {"</TOOLCALL>"},
    .make = make,
    .shape = {.group_begin = "<TOOLCALL>[",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = ", ",
              .group_end = "]</TOOLCALL>"},
};

}  // namespace vsurge::api
