// <|function_call|>{...}, or "function call" in words: GigaChat 3.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{});
}

}  // namespace

constinit const ToolFormat kGigachat3Format = {
    .name = "gigachat3",
    .aliases = {"gigachat35"},
    .opens = {"<|function_call|>", "function call"},
    .make = make,
    .shape = {.begin = "<|function_call|>{\"name\": \"",
              .middle = "\", \"arguments\": ",
              .end = "}"},
};

}  // namespace vsurge::api
