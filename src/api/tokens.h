// /tokenize, /detokenize and /apply-template: text to token ids and back, without the engine.
//
// The shapes are vLLM's (prompt or messages; count, max_model_len, tokens, token_strs) and
// llama-server's (content; tokens, with_pieces); which one a request has is told by its members.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/plain_call.h"

namespace vsurge::api {

// Each makes the JSON of an answer from the body of a request; on a text worker.
ApiResult<std::string> tokenize_json(const PrepareCall& call);
ApiResult<std::string> detokenize_json(const PrepareCall& call);
ApiResult<std::string> apply_template_json(const PrepareCall& call);

// The fields that tokenize and detokenize know. /apply-template has those of chat requests.
std::span<const PlainField> tokenize_fields();
std::span<const PlainField> detokenize_fields();

}  // namespace vsurge::api
