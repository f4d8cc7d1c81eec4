// [f(a=1)], which may stand between <|python_start|> and <|python_end|>: Llama 4.
#include "api/formats/pythonic_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  if (open.empty()) return std::make_unique<PythonicMachine>(PythonicOptions{.offered = &tools});
  return std::make_unique<PythonicMachine>(PythonicOptions{.end = "<|python_end|>"});
}

}  // namespace

constinit const ToolFormat kLlama4PythonicFormat = {
    .name = "llama4_pythonic",
    .aliases = {},
    .opens = {"<|python_start|>"},
    .first_characters = "[",
    .tags = {"<|python_end|>"},
    .make = make,
    .shape = {.group_begin = "<|python_start|>[",
              .middle = "(",
              .end = ")",
              .separator = ", ",
              .group_end = "]<|python_end|>",
              .parameter =
                  CallShape::Parameter{
                      .middle = "=", .separator = ", ", .strings = CallShape::Strings::kJson}},
};

}  // namespace vsurge::api
