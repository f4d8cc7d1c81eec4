// POST /v1/messages and /v1/messages/count_tokens: Anthropic's Messages API.
#pragma once

#include "api/anthropic_form.h"
#include "api/prepare.h"

namespace vsurge::api {

extern const GenerationEndpoint kAnthropicEndpoint;
// {"input_tokens": n}; see PlainAnswer.
ApiResult<std::string> count_anthropic_tokens(const PrepareCall& call);

}  // namespace vsurge::api
