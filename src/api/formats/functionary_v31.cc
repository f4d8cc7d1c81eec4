// <function=NAME>{...}</function>: Functionary v3.1.
#include "api/formats/named_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<NamedMachine>(NamedMachineOptions{
      .begin = "<function=", .begun = true, .separator = ">", .end = "</function>"});
}

}  // namespace

constinit const ToolFormat kFunctionaryV31Format = {
    .name = "functionary_v31",
    .aliases = {"functionary"},
    .opens = {"<function="},
    .make = make,
    .shape = {.begin = "<function=", .middle = ">", .end = "</function>"},
};

}  // namespace vsurge::api
