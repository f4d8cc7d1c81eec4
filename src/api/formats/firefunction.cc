//  functools[{...}]: FireFunction v2.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{});
}

}  // namespace

constinit const ToolFormat kFirefunctionFormat = {
    .name = "firefunction",
    .aliases = {"firefunction-v2"},
    .opens = {"functools"},
    .make = make,
    .shape = {.group_begin = " functools[",
              .begin = "{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = ", ",
              .group_end = "]"},
};

}  // namespace vsurge::api
