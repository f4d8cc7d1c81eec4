// <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}<｜tool▁call▁end｜>: DeepSeek V3.1.
#include "api/formats/named_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<NamedMachine>(NamedMachineOptions{.begin = "<｜tool▁call▁begin｜>",
                                                            .separator = "<｜tool▁sep｜>",
                                                            .end = "<｜tool▁call▁end｜>",
                                                            .group_end = "<｜tool▁calls▁end｜>"});
}

}  // namespace

constinit const ToolFormat kDeepseekV31Format = {
    .name = "deepseek_v31",
    .aliases = {"deepseekv31", "deepseekv3.1"},
    .opens = {"<｜tool▁calls▁begin｜>"},
    .tags = {"<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
             "<｜tool▁calls▁end｜>"},
    .make = make,
    .shape = {.group_begin = "<｜tool▁calls▁begin｜>",
              .begin = "<｜tool▁call▁begin｜>",
              .middle = "<｜tool▁sep｜>",
              .end = "<｜tool▁call▁end｜>",
              .group_end = "<｜tool▁calls▁end｜>"},
};

}  // namespace vsurge::api
