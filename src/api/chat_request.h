// The body of POST /v1/chat/completions, checked.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "api/generation.h"
#include "api/structured_output.h"
#include "api/tools.h"

namespace vsurge::api {

// How much a model is to think before it answers, from nothing up.
enum class ReasoningEffort : std::uint8_t { kNone, kMinimal, kLow, kMedium, kHigh, kMax };

// What becomes of a model's reasoning.
struct ReasoningFields {
  std::optional<ReasoningEffort> effort;
  std::string effort_word;  // as the client wrote it
  std::string effort_field = "reasoning_effort";
  bool separate = true;  // false: it stays in the content, with its marks
  bool include = true;   // false: it is not told
  bool stream = true;    // false: it is told at once, when it has ended
};

struct ChatRequest {
  GenerationFields generation;
  ToolFields tools;
  ReasoningFields reasoning;
  std::optional<StructuredOutput> structured;
  std::string messages_json;            // see read_messages
  boost::json::object template_kwargs;  // more variables for the template
  std::string documents_json;           // for the template; empty = none
  std::string prediction;               // what the answer may repeat; empty = none
  std::string chat_template;            // the client's own; empty = the model's
  bool add_generation_prompt = true;
  bool add_special_tokens = false;  // the tokenizer's own, beside what the template writes
  // The text of the last message, which the answer goes on with; the prompt ends in it.
  std::optional<std::string> continued;
};

// The model's name is read, not compared.
ApiResult<ChatRequest> read_chat_request(const boost::json::value& body,
                                         const RequestContext& context);

// One of OpenAI's words, from the field that had it.
ApiResult<void> set_effort(std::string_view word, std::string field, ReasoningFields& out);

// The variables of a template, one JSON object: messages, tools, documents, add_generation_prompt,
// the special tokens by name, and template_kwargs, which win.
std::string template_context(const ChatRequest& request,
                             const std::map<std::string, std::string, std::less<>>& special_tokens);

}  // namespace vsurge::api
