// POST /v1/rerank and /v1/score: how well documents answer a query, for checkpoints made for it.
#pragma once

#include <atomic>
#include <span>
#include <string_view>

#include "api/pooled_call.h"
#include "api/pooled_options.h"

namespace vsurge::api {

inline constexpr std::size_t kRerankDocumentsMax = 2048;

// Jina's and Cohere's shape.
ApiResult<PooledRequest> prepare_rerank(const ServiceCore& core, std::string_view body,
                                        const std::atomic<bool>& gone);
// vLLM's shape.
ApiResult<PooledRequest> prepare_score(const ServiceCore& core, std::string_view body,
                                       const std::atomic<bool>& gone);
std::span<const PlainField> rerank_fields();
std::span<const PlainField> score_fields();

// What a vector of the engine says of its pair: a logit, or with `activation` its sigmoid.
double relevance(const PooledOptions& options, const std::vector<float>& vector, bool activation);

}  // namespace vsurge::api
