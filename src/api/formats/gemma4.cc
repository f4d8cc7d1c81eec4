// <|tool_call>call:f{k:<|"|>v<|"|>}<tool_call|>: Gemma 4.
#include "api/formats/gemma_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<GemmaMachine>(GemmaOptions{.quote = "<|\"|>", .end = "<tool_call|>"});
}

}  // namespace

constinit const ToolFormat kGemma4Format = {
    .name = "gemma4",
    .aliases = {},
    .opens = {"<|tool_call>"},
    .tags = {"<|\"|>", "<tool_call|>", "<|tool_response>"},
    .make = make,
    .shape = {.begin = "<|tool_call>call:",
              .middle = "{",
              .end = "}<tool_call|>",
              .parameter = CallShape::Parameter{.middle = ":",
                                                .separator = ",",
                                                .strings = CallShape::Strings::kQuoted,
                                                .quote = "<|\"|>"}},
};

}  // namespace vsurge::api
