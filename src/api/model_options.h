// What the endpoints know of one model.
#pragma once

#include <string>
#include <vector>

#include "api/formats/output_reader.h"
#include "api/generation.h"
#include "api/pooled_options.h"
#include "engine/request.h"

namespace vsurge::api {

struct ModelOptions {
  std::vector<std::string> model_names;  // first is the one in answers; others are aliases
  std::string family;
  std::string fingerprint;  // system_fingerprint: of weights and numeric choices
  int context_max = 0;
  int prompt_max = 0;  // longest prompt; 0 = what leaves room for an answer
  int vocabulary = 0;
  std::vector<engine::TokenId> end_tokens;  // that end an answer
  SamplingDefaults sampling;                // where a request says nothing
  int speculative_tokens_max = 0;           // see RequestContext
  // How answers to chats are taken apart; nullptr: not at all.
  const ToolFormat* tool_format = nullptr;
  const ReasoningFormat* reasoning_format = nullptr;
  PooledOptions pooled;
};

}  // namespace vsurge::api
