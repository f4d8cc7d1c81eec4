// Requests that need text workers but no engine: counting, tokenising, templates.
#pragma once

#include <memory>
#include <string>

#include "api/prepare.h"
#include "base/worker_pool.h"

namespace vsurge::api {

struct TextEndpoint {
  // On a text worker: the answer's JSON.
  ApiResult<std::string> (*answer)(const PrepareCall& call);
  std::string (*error_json)(const ApiError& error);
};

struct TextCall {
  const TextEndpoint& endpoint;
  std::shared_ptr<Responder> responder;
  std::string request_id;
  std::string body;
};

// Answers on the connection's executor; at once with 429 when the workers have too much to do.
void answer_text(const std::shared_ptr<ServiceCore>& core, base::WorkerPool& workers,
                 TextCall call);

}  // namespace vsurge::api
