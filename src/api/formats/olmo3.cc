// <function_calls> with one call in each line: OLMo 3.
#include "api/formats/pythonic_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  (void)tools;
  return std::make_unique<PythonicMachine>(
      PythonicOptions{.list = false, .end = "</function_calls>"});
}

}  // namespace

constinit const ToolFormat kOlmo3Format = {
    .name = "olmo3",
    .aliases = {},
    .opens = {"<function_calls>"},
    .tags = {"</function_calls>"},
    .make = make,
    .shape = {.group_begin = "<function_calls>",
              .middle = "(",
              .end = ")",
              .separator = "\n",
              .group_end = "</function_calls>",
              .parameter =
                  CallShape::Parameter{
                      .middle = "=", .separator = ", ", .strings = CallShape::Strings::kJson}},
};

}  // namespace vsurge::api
