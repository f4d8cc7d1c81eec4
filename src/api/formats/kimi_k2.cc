// <|tool_call_begin|>functions.NAME:INDEX<|tool_call_argument_begin|>{...}<|tool_call_end|>: Kimi
// K2.
#include "api/formats/named_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<NamedMachine>(
      NamedMachineOptions{.begin = "<|tool_call_begin|>",
                          .separator = "<|tool_call_argument_begin|>",
                          .end = "<|tool_call_end|>",
                          .group_end = "<|tool_calls_section_end|>",
                          .index_id = true});
}

}  // namespace

constinit const ToolFormat kKimiK2Format = {
    .name = "kimi_k2",
    .aliases = {"kimi_k3", "kimi"},
    .opens = {"<|tool_calls_section_begin|>"},
    .tags = {"<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>",
             "<|tool_calls_section_end|>"},
    .ids = CallIds::kIndex,
    .make = make,
    .shape = {.group_begin = "<|tool_calls_section_begin|>",
              .begin = "<|tool_call_begin|>functions.",
              .middle = ":#<|tool_call_argument_begin|>",
              .end = "<|tool_call_end|>",
              .group_end = "<|tool_calls_section_end|>"},
};

}  // namespace vsurge::api
