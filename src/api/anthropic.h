// POST /v1/messages and /v1/messages/count_tokens: Anthropic's Messages API.
#pragma once

#include "api/prepare.h"
#include "api/text_answer.h"

namespace vsurge::api {

extern const GenerationEndpoint kAnthropicEndpoint;
extern const TextEndpoint kAnthropicCountEndpoint;

}  // namespace vsurge::api
