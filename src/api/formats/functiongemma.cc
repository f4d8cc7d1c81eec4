// <start_function_call>call:f{k:<escape>v<escape>}<end_function_call>: FunctionGemma.
#include "api/formats/gemma_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<GemmaMachine>(
      GemmaOptions{.quote = "<escape>", .end = "<end_function_call>"});
}

}  // namespace

constinit const ToolFormat kFunctiongemmaFormat = {
    .name = "functiongemma",
    .aliases = {},
    .opens = {"<start_function_call>"},
    .tags = {"<escape>", "<end_function_call>"},
    .make = make,
    .shape = {.begin = "<start_function_call>call:",
              .middle = "{",
              .end = "}<end_function_call>",
              .parameter = CallShape::Parameter{.middle = ":",
                                                .separator = ",",
                                                .strings = CallShape::Strings::kQuoted,
                                                .quote = "<escape>"}},
};

}  // namespace vsurge::api
