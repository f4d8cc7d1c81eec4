// The body of POST /v1/messages and /v1/messages/count_tokens (Anthropic's Messages API), checked.
#pragma once

#include <boost/json/value.hpp>

#include "api/chat_request.h"

namespace vsurge::api {

// As a chat request: system prompt and blocks become messages, a last message of the assistant is
// continued. count_only: max_tokens may be absent, and fields of the answer are refused.
ApiResult<ChatRequest> read_anthropic_request(const boost::json::value& body,
                                              const RequestContext& context, bool count_only);

}  // namespace vsurge::api
