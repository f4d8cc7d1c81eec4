// /v1/responses and /v1/conversations: OpenAI's Responses API.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/background.h"
#include "api/plain_call.h"
#include "api/prepare.h"
#include "api/routes.h"

namespace vsurge::api {

extern const GenerationEndpoint kResponsesEndpoint;

// Answers' JSON; see PlainAnswer.
ApiResult<std::string> count_response_tokens(const PrepareCall& call);
ApiResult<std::string> create_conversation(ServiceHub& hub, std::string_view body,
                                           const access::ApiKey* key);
std::span<const PlainField> conversation_fields();

struct StoredCall {
  ServiceHub& hub;
  std::string_view id;
  const access::ApiKey* key;  // as PrepareCall
};

// A response whose events are asked for; `query` is that of the request. nullptr: it is not.
struct WantedEvents {
  std::shared_ptr<BackgroundRun> run = nullptr;
  std::int64_t first = 0;  // number of the first that is wanted
};
ApiResult<WantedEvents> events_of_store(const StoredCall& call, std::string_view query);

// One that is made in the background and has not ended, to be cancelled; nullptr: it has ended.
ApiResult<std::shared_ptr<BackgroundRun>> run_to_cancel(const StoredCall& call);

// The answer to one of the routes of what is stored; 404 where there is nothing that the key may
// see.
ApiResult<std::string> answer_of_store(Target target, const StoredCall& call);

}  // namespace vsurge::api
