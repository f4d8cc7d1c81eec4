// Solar Open: <|tool_calls|><|tool_call:begin|>ID<|tool_call:name|>F<|tool_call:args|>{...}
// <|tool_call:end|>, again and again; <|calls|> ends the turn.
#include "api/formats/named_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<NamedMachine>(NamedMachineOptions{.begin = "<|tool_call:begin|>",
                                                            .head_end = "<|tool_call:name|>",
                                                            .head_is_id = true,
                                                            .separator = "<|tool_call:args|>",
                                                            .end = "<|tool_call:end|>",
                                                            .group_end = "<|calls|>"});
}

}  // namespace

constinit const ToolFormat kSolarOpenFormat = {
    .name = "solar_open",
    .aliases = {"solar_open2", "upstage"},
    .opens = {"<|tool_calls|>"},
    .tags = {"<|tool_call:begin|>", "<|tool_call:name|>", "<|tool_call:args|>", "<|tool_call:end|>",
             "<|calls|>"},
    .make = make,
    .shape = {.group_begin = "<|tool_calls|>",
              .begin = "<|tool_call:begin|>call_#<|tool_call:name|>",
              .middle = "<|tool_call:args|>",
              .end = "<|tool_call:end|>"},
};

}  // namespace vsurge::api
