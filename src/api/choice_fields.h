// The fields of a request that say how many answers are made, and what is told of each.
#pragma once

#include "api/generation.h"
#include "api/reader.h"

namespace vsurge::api {

// n, best_of, beam search, logprobs, prompt_logprobs, echo, token ids. `out.stream` is read before.
ApiResult<void> read_choice_fields(const ObjectReader& body, Endpoint endpoint,
                                   GenerationFields& out);

}  // namespace vsurge::api
