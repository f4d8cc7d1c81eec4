// The fields of a request that say how the next token is chosen.
#pragma once

#include "api/generation.h"
#include "api/reader.h"

namespace vsurge::api {

// temperature to xtc, penalties, bans, min_tokens, seed, thinking budget, guesses. Ranges are
// checked here, what depends on max_tokens in the engine. `defaults` stand where the body is
// silent.
ApiResult<void> read_sampling_fields(const ObjectReader& body, const RequestContext& context,
                                     const SamplingDefaults& defaults, GenerationFields& out);

}  // namespace vsurge::api
