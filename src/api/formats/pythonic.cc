// [f(a=1), g()]: Llama 3.2, ToolACE and others.
#include "api/formats/pythonic_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  return std::make_unique<PythonicMachine>(PythonicOptions{.offered = &tools});
}

}  // namespace

constinit const ToolFormat kPythonicFormat = {
    .name = "pythonic",
    .aliases = {"llama3_pythonic"},
    .opens = {},
    .first_characters = "[",
    .make = make,
    .shape = {.group_begin = "[",
              .middle = "(",
              .end = ")",
              .separator = ", ",
              .group_end = "]",
              .parameter =
                  CallShape::Parameter{
                      .middle = "=", .separator = ", ", .strings = CallShape::Strings::kJson}},
};

}  // namespace vsurge::api
