// The body of POST /v1/completions, checked.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <variant>
#include <vector>

#include "api/generation.h"
#include "api/structured_output.h"

namespace vsurge::api {

// One prompt: text, or token ids within the vocabulary.
using Prompt = std::variant<std::string, std::vector<engine::TokenId>>;

// What OpenAI's completions do without max_tokens.
inline constexpr int kCompletionTokensDefault = 16;

struct CompletionRequest {
  GenerationFields generation;
  std::vector<Prompt> prompts;     // in order; at least one
  std::vector<std::string> paths;  // "prompt" or "prompt[3]", for errors
  std::string suffix;              // an answer fills the gap before it; empty: there is no gap
  std::optional<StructuredOutput> structured;
  bool add_special_tokens = true;  // the tokenizer's own, before a prompt that is text
};

// The model's name is read, not compared.
ApiResult<CompletionRequest> read_completion_request(const boost::json::value& body,
                                                     const RequestContext& context);

}  // namespace vsurge::api
