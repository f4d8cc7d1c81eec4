// <seed:tool_call><function=NAME><parameter=K>V</parameter></function></seed:tool_call>: Seed-OSS.
#include "api/formats/tool_formats.h"
#include "api/formats/xml_machine.h"

namespace vsurge::api {
namespace {

std::unique_ptr<CallMachine> make(std::string_view open, const ToolSpecs& tools) {
  (void)open;
  return std::make_unique<XmlMachine>(
      XmlMachineOptions{.around = {"<seed:tool_call>", "</seed:tool_call>"}}, tools);
}

}  // namespace

constinit const ToolFormat kSeedOssFormat = {
    .name = "seed_oss",
    .aliases = {"seed-oss", "seed"},
    .opens = {"<seed:tool_call>"},
    .tags = {"</seed:tool_call>"},
    .make = make,
    .shape = {.begin = "<seed:tool_call>\n<function=",
              .middle = ">\n",
              .end = "</function>\n</seed:tool_call>",
              .separator = "\n",
              .parameter = CallShape::Parameter{.begin = "<parameter=",
                                                .middle = ">",
                                                .end = "</parameter>\n",
                                                .strings = CallShape::Strings::kRaw}},
};

}  // namespace vsurge::api
