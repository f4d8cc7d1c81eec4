// ToolFormat: how one family of models writes tool calls. One file for each, a row in
// tool_formats.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "api/formats/call_machine.h"
#include "api/formats/text_list.h"
#include "api/formats/tool_spec.h"

namespace vsurge::api {

// How calls are to be written, for a grammar that forces them:
// group_begin (begin NAME middle ARGUMENTS end) separator ... group_end
struct CallShape {
  std::string_view group_begin = {};
  std::string_view begin = {};
  std::string_view middle = {};  // '#' is any number: Kimi's index
  std::string_view end = {};
  std::string_view separator = {};
  std::string_view group_end = {};

  // Arguments that are not one JSON object: begin NAME middle VALUE end, with separators between.
  enum class Strings : std::uint8_t {
    kRaw,     // as they are, up to `end`
    kJson,    // as JSON
    kQuoted,  // between `quote`s
  };
  struct Parameter {
    std::string_view begin = {};
    std::string_view middle = {};  // '?' is true before a string, else false: DeepSeek's
    std::string_view end = {};
    std::string_view separator = {};
    Strings strings = Strings::kRaw;
    std::string_view quote = {};
  };
  std::optional<Parameter> parameter = {};
};

struct ToolFormat {
  std::string_view name;  // the seed's
  TextList aliases;       // other servers' names
  // Texts that begin a group of calls wherever they stand in content; the machine gets what
  // follows.
  TextList opens;
  // A group may begin with one of these characters where content begins; the machine gets it, too.
  std::string_view first_characters = {};
  // Texts inside calls that some vocabularies have as special tokens.
  TextList tags = {};
  CallIds ids = CallIds::kOurs;
  // `open` is one of `opens`, or empty. nullptr: the format reads the whole output (harmony).
  std::unique_ptr<CallMachine> (*make)(std::string_view open, const ToolSpecs& tools) = nullptr;
  CallShape shape = {};
};

// Sorted by name in the documentation; nullptr when there is none of this name or alias.
const ToolFormat* find_tool_format(std::string_view name);
std::span<const ToolFormat* const> tool_formats();

}  // namespace vsurge::api
