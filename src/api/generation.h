// What chat and completions requests have in common: sampling, length, stop strings, choices,
// what is told of them, streaming.
#pragma once

#include <boost/json/object.hpp>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "api/api_error.h"
#include "api/fields.h"
#include "api/sampling_texts.h"
#include "base/limits.h"
#include "engine/request.h"
#include "text/stop_regex.h"

namespace vsurge::api {

// Used where a request says nothing; the checkpoint's generation_config, else OpenAI's.
struct SamplingDefaults {
  float temperature = 1.0F;                      // [0, 2]
  float top_p = 1.0F;                            // (0, 1]
  float min_p = 0.0F;                            // [0, 1]
  int top_k = 0;                                 // 0 = off
  float repetition_penalty = 1.0F;               // (0, 10]
  std::optional<int> max_tokens = std::nullopt;  // of chats; absent: what fits the context
};

// What a request is checked against.
struct RequestContext {
  SamplingDefaults sampling;
  base::JsonLimits json;
  int vocabulary = std::numeric_limits<int>::max();
  int speculative_tokens_max = 0;    // what a request may ask, and has if it is silent; 0 = off
  bool trust_chat_template = false;  // of a request
  // Where fields that nobody knows are noted; nullptr: they are refused.
  std::vector<std::string>* ignored = nullptr;
};

enum class TruncationSide : std::uint8_t { kLeft, kRight };

// Below this a temperature means greedy.
inline constexpr double kTemperatureMin = 1e-5;

struct GenerationFields {
  std::string model;
  // n is the number of choices to make: best_of. max_tokens only when the client gave it. logprobs
  // and prompt_logprobs are as the engine must tell them.
  engine::SamplingParams sampling;
  SamplingTexts texts;           // what of it needs a tokenizer
  std::string max_tokens_field;  // its name in the request, for errors
  std::vector<std::string> stop;
  std::optional<text::StopRegex> stop_regex;
  bool include_stop = false;  // in the text
  bool skip_special = true;

  int choices = 1;                     // shown of each prompt
  std::optional<int> logprobs;         // alternatives shown with each token
  std::optional<int> prompt_logprobs;  // the same in the answer's prompt_logprobs
  bool echo = false;                   // the prompt comes before the answer
  bool prompt_only = false;            // max_tokens 0: an answer without tokens
  bool return_token_ids = false;
  bool tokens_as_ids = false;  // tokens beside logprobs are "token_id:5"

  bool tell_reasoning = true;
  bool stream_reasoning = true;   // false: it is told when it has ended
  bool legacy_functions = false;  // a call is told as OpenAI's old function_call

  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  bool obfuscation = false;  // chunks are padded

  // Tokens of the prompt that are kept; only when the client says so. -1: as many as fit.
  std::optional<int> prompt_tokens_kept;
  TruncationSide truncation_side = TruncationSide::kLeft;  // where the others go

  std::string metadata_json;  // told again in the answer; empty = none
  std::string user;
  std::string cache_salt;
  int priority = 0;
  std::optional<double> timeout_seconds;  // of the whole request
  // From the first token on; then an answer ends where it has a whole line. 0 = any time.
  std::int64_t predict_ms = 0;
  // Tokens that the answer may repeat; absent: none were given.
  std::optional<std::vector<engine::TokenId>> prediction;
};

ApiResult<GenerationFields> read_generation_fields(const boost::json::object& object,
                                                   Endpoint endpoint,
                                                   const RequestContext& context);

}  // namespace vsurge::api
