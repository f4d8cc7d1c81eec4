// <function_call> {...}, again and again: Granite 20B function calling.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{});
}

}  // namespace

constinit const ToolFormat kGranite20bFcFormat = {
    .name = "granite-20b-fc",
    .aliases = {},
    .opens = {"<function_call>"},
    .make = make,
    .shape = {.begin = "<function_call> {\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}",
              .separator = " "},
};

}  // namespace vsurge::api
