// What a chat request says of tools: which there are, and whether one must be called.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/formats/tool_spec.h"
#include "api/reader.h"

namespace vsurge::api {

enum class ToolChoice : std::uint8_t {
  kNone,      // no call
  kAuto,      // as the model likes
  kRequired,  // at least one call, of any of `specs`
};

struct ToolFields {
  // What may be called: with a named function that one alone, with allowed_tools these.
  std::shared_ptr<const ToolSpecs> specs = std::make_shared<ToolSpecs>();
  // OpenAI's array for the template, of `specs` and, with a named function, of all tools; empty
  // where the model must not know of any.
  std::string json = {};
  ToolChoice choice = ToolChoice::kNone;
  std::string choice_field = "tool_choice";  // its name in the request, for errors
  bool named = false;                        // exactly one call of one function
  bool parallel = true;                      // several calls in one answer
  std::string id_prefix = "call_";           // of calls whose ids are ours to make
  bool legacy = false;  // `functions` and `function_call` were used, and are so in the answer

  bool any() const { return !specs->empty() && choice != ToolChoice::kNone; }
  // Some calls must fit their schema, or must happen.
  bool constrained() const;
};

// How a tool, and the choice of one, is written.
enum class ToolStyle : std::uint8_t {
  kNested,  // {"type":"function","function":{"name",...}}: chat
  kFlat,    // {"type":"function","name",...}: responses
};

// tools, tool_choice, parallel_tool_calls; nested also functions, function_call. ignored: where
// flat tools that OpenAI's servers run themselves (web_search, ...) are noted and left out;
// nullptr: they are refused.
ApiResult<ToolFields> read_tools(const ObjectReader& body, ToolStyle style = ToolStyle::kNested,
                                 std::vector<std::string>* ignored = nullptr);

}  // namespace vsurge::api
