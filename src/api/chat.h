// POST /v1/chat/completions, and the way from messages to a prompt that other endpoints share.
#pragma once

#include <cstdint>
#include <string>

#include "api/chat_request.h"
#include "api/prepare.h"

namespace vsurge::api {

extern const GenerationEndpoint kChatEndpoint;

// Seconds since 1970 as a local clock on the wall counts them: what templates get as now.
std::int64_t local_seconds();

// The text of the prompt: what the template makes of the messages. Settles what the request says
// of reasoning and tools on the way.
ApiResult<std::string> render_chat(const ServiceCore& core, ChatRequest& request,
                                   const std::string& param);

// A checked request to all but the form of its answer. `param` is to blame for what the template
// or the length of the prompt says.
ApiResult<PreparedRequest> prepare_chat_request(const PrepareCall& call, ChatRequest request,
                                                const std::string& param);

}  // namespace vsurge::api
