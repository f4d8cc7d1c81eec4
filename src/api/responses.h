// /v1/responses and /v1/conversations: OpenAI's Responses API.
#pragma once

#include <string>
#include <string_view>

#include "api/plain_call.h"
#include "api/prepare.h"
#include "api/routes.h"

namespace vsurge::api {

extern const GenerationEndpoint kResponsesEndpoint;

// Answers' JSON; see PlainAnswer.
ApiResult<std::string> count_response_tokens(const PrepareCall& call);
ApiResult<std::string> create_conversation(ServiceHub& hub, std::string_view body,
                                           const access::ApiKey* key);

struct StoredCall {
  ServiceHub& hub;
  std::string_view id;
  const access::ApiKey* key;  // as PrepareCall
};

// The answer to one of the routes of what is stored; 404 where there is nothing that the key may
// see.
ApiResult<std::string> answer_of_store(Target target, const StoredCall& call);

}  // namespace vsurge::api
