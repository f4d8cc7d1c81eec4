// <｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME, arguments in a fence, <｜tool▁call▁end｜>:
// DeepSeek R1 and V3.
#include "api/formats/named_machine.h"
#include "api/formats/tool_formats.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view /*open*/, const ToolSpecs& /*tools*/) {
  return std::make_unique<NamedMachine>(NamedMachineOptions{.begin = "<｜tool▁call▁begin｜>",
                                                            .head_end = "<｜tool▁sep｜>",
                                                            .separator = "\n",
                                                            .end = "<｜tool▁call▁end｜>",
                                                            .group_end = "<｜tool▁calls▁end｜>"});
}

}  // namespace

constinit const ToolFormat kDeepseekV3Format = {
    .name = "deepseek_v3",
    .aliases = {"deepseek3", "deepseekv3"},
    .opens = {"<｜tool▁calls▁begin｜>"},
    .tags = {"<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
             "<｜tool▁calls▁end｜>"},
    .make = make,
    .shape = {.group_begin = "<｜tool▁calls▁begin｜>",
              .begin = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
              .middle = "\n```json\n",
              .end = "\n```<｜tool▁call▁end｜>",
              .separator = "\n",
              .group_end = "<｜tool▁calls▁end｜>"},
};

}  // namespace vsurge::api
