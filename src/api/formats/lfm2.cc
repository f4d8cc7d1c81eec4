// <|tool_call_start|>[f(a="b")]<|tool_call_end|>: LFM 2.
#include "api/formats/pythonic_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  (void)tools;
  return std::make_unique<PythonicMachine>(PythonicOptions{.end = "<|tool_call_end|>"});
}

}  // namespace

constinit const ToolFormat kLfm2Format = {
    .name = "lfm2",
    .aliases = {"liquid"},
    .opens = {"<|tool_call_start|>"},
    .tags = {"<|tool_call_end|>"},
    .make = make,
    .shape = {.group_begin = "<|tool_call_start|>[",
              .middle = "(",
              .end = ")",
              .separator = ", ",
              .group_end = "]<|tool_call_end|>",
              .parameter =
                  CallShape::Parameter{
                      .middle = "=", .separator = ", ", .strings = CallShape::Strings::kJson}},
};

}  // namespace vsurge::api
