// /v1/responses and /v1/conversations: OpenAI's Responses API.
#pragma once

#include <string>
#include <string_view>

#include "api/plain_call.h"
#include "api/prepare.h"

namespace vsurge::api {

extern const GenerationEndpoint kResponsesEndpoint;

// Answers' JSON; see PlainAnswer.
ApiResult<std::string> count_response_tokens(ServiceCore& core, std::string_view body);
ApiResult<std::string> create_conversation(ServiceCore& core, std::string_view body);

// What is stored under an id; 404 where there is nothing.
ApiResult<std::string> stored_response(ServiceCore& core, std::string_view id);
ApiResult<std::string> erase_response(ServiceCore& core, std::string_view id);
// Answers run to their end with their requests: there is nothing to cancel (400).
ApiResult<std::string> cancel_response(ServiceCore& core, std::string_view id);
ApiResult<std::string> response_input_items(ServiceCore& core, std::string_view id);
ApiResult<std::string> stored_conversation(ServiceCore& core, std::string_view id);
ApiResult<std::string> erase_conversation(ServiceCore& core, std::string_view id);
ApiResult<std::string> conversation_items(ServiceCore& core, std::string_view id);

}  // namespace vsurge::api
