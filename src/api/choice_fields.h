// The fields of a request that say how many answers are made, and what is told of each.
#pragma once

#include "api/generation.h"
#include "api/reader.h"

namespace vsurge::api {

// n, best_of, beam search, logprobs and whose, prompt_logprobs, echo, token ids. `out.stream` is
// read before.
// vocabulary: token ids are below it.
ApiResult<void> read_choice_fields(const ObjectReader& body, Endpoint endpoint, int vocabulary,
                                   GenerationFields& out);

}  // namespace vsurge::api
