// From the bytes of a request to token ids: all that needs no engine. Runs on a text worker.
#pragma once

#include <atomic>
#include <optional>
#include <string_view>
#include <vector>

#include "api/echo.h"
#include "api/generation.h"
#include "api/service_core.h"

namespace vsurge::api {

struct PreparedPrompt {
  std::vector<engine::TokenId> ids;
  Echo echo;                                       // where it was asked for
  std::optional<engine::ThinkingBudget> thinking;  // the same
};

struct PreparedRequest {
  GenerationFields generation;  // sampling is complete but for `thinking`
  std::vector<PreparedPrompt> prompts;
};

// Parses, checks, renders the template, tokenises, and checks the context's length. `gone` is read
// between these; when it is set the work is given up with some error, which nobody sees.
ApiResult<PreparedRequest> prepare_request(const ServiceCore& core, Endpoint endpoint,
                                           std::string_view body, const std::atomic<bool>& gone);

}  // namespace vsurge::api
