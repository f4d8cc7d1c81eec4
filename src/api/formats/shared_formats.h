// Formats that several families of models write alike: one definition of each, by name.
#pragma once

#include "api/formats/tool_format.h"

namespace vsurge::api {

std::unique_ptr<CallMachine> make_tool_call_json(std::string_view open, const ToolSpecs& tools);
std::unique_ptr<CallMachine> make_function_tags(std::string_view open, const ToolSpecs& tools);
std::unique_ptr<CallMachine> make_functools(std::string_view open, const ToolSpecs& tools);

// <tool_call>{"name": ..., "arguments": {...}}</tool_call>
constexpr ToolFormat tool_call_json(std::string_view name, TextList aliases) {
  return {.name = name,
          .aliases = aliases,
          .opens = {"<tool_call>"},
          .tags = {"</tool_call>"},
          .make = make_tool_call_json,
          .shape = {.begin = "<tool_call>\n{\"name\": \"",
                    .middle = "\", \"arguments\": ",
                    .end = "}\n</tool_call>",
                    .separator = "\n"}};
}

// <tool_call><function=NAME><parameter=K>V</parameter></function></tool_call>; where `opens` has
// it, <function name="NAME"> and <parameter name="K">, too.
constexpr ToolFormat function_tags(std::string_view name, TextList aliases, TextList opens) {
  return {.name = name,
          .aliases = aliases,
          .opens = opens,
          .tags = {"</tool_call>"},
          .make = make_function_tags,
          .shape = {.begin = "<tool_call>\n<function=",
                    .middle = ">\n",
                    .end = "</function>\n</tool_call>",
                    .separator = "\n",
                    .parameter = CallShape::Parameter{.begin = "<parameter=",
                                                      .middle = ">\n",
                                                      .end = "\n</parameter>\n",
                                                      .strings = CallShape::Strings::kRaw}}};
}

// functools[{"name": ..., "arguments": {...}}]; group_begin: with what stands before it.
constexpr ToolFormat functools(std::string_view name, TextList aliases,
                               std::string_view group_begin) {
  return {.name = name,
          .aliases = aliases,
          .opens = {"functools"},
          .make = make_functools,
          .shape = {.group_begin = group_begin,
                    .begin = "{\"name\": \"",
                    .middle = "\", \"arguments\": ",
                    .end = "}",
                    .separator = ", ",
                    .group_end = "]"}};
}

}  // namespace vsurge::api
