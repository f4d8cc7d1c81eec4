// [TOOL_CALLS][{...}], or [TOOL_CALLS]NAME[ARGS]{...}: Mistral, old and new.
#include "api/formats/mistral_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<MistralMachine>();
}

}  // namespace

constinit const ToolFormat kMistralFormat = {
    .name = "mistral",
    .aliases = {"mistral_nemo", "ministral"},
    .opens = {"[TOOL_CALLS]"},
    .tags = {"[ARGS]", "[CALL_ID]"},
    .ids = CallIds::kNine,
    .make = make,
    .shape = {.begin = "[TOOL_CALLS]", .middle = "[ARGS]"},
};

}  // namespace vsurge::api
