// /v1/responses and /v1/conversations: OpenAI's Responses API.
#pragma once

#include <string>
#include <string_view>

#include "api/plain_call.h"
#include "api/prepare.h"

namespace vsurge::api {

extern const GenerationEndpoint kResponsesEndpoint;

// Answers' JSON; see PlainAnswer.
ApiResult<std::string> count_response_tokens(const PrepareCall& call);
ApiResult<std::string> create_conversation(const PrepareCall& call);

struct StoredCall {
  ServiceCore& core;
  std::string_view id;
  const access::ApiKey* key;  // as PrepareCall
};

// What is stored under an id; 404 where there is nothing that the key may see.
ApiResult<std::string> stored_response(const StoredCall& call);
ApiResult<std::string> erase_response(const StoredCall& call);
// Answers run to their end with their requests: there is nothing to cancel (400).
ApiResult<std::string> cancel_response(const StoredCall& call);
ApiResult<std::string> response_input_items(const StoredCall& call);
ApiResult<std::string> stored_conversation(const StoredCall& call);
ApiResult<std::string> erase_conversation(const StoredCall& call);
ApiResult<std::string> conversation_items(const StoredCall& call);

}  // namespace vsurge::api
