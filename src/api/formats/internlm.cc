// <|action_start|><|plugin|>{...}<|action_end|>: InternLM.
#include "api/formats/json_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<JsonMachine>(JsonMachineOptions{.closes = {"<|action_end|>"}});
}

}  // namespace

constinit const ToolFormat kInternlmFormat = {
    .name = "internlm",
    .aliases = {"internlm2", "intern-s1", "interns1"},
    .opens = {"<|action_start|><|plugin|>", "<|action_start|> <|plugin|>"},
    .tags = {"<|action_end|>", "<|plugin|>", "<|action_start|>"},
    .make = make,
    .shape = {.begin = "<|action_start|><|plugin|>\n{\"name\": \"",
              .middle = "\", \"parameters\": ",
              .end = "}<|action_end|>"},
};

}  // namespace vsurge::api
