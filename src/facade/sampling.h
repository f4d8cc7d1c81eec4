// SamplingParams of the library, as the engine and the text of an answer take them.
#pragma once

#include "api/choice.h"
#include "text/tokenizer.h"
#include "vsurge/sampling_params.h"

namespace vsurge::facade {

// kInvalidRequest with the field's name for what the engine cannot see; it checks the rest.
base::Status check_sampling(const SamplingParams& sampling);

// Words become tokens. n is best_of. Without `thinking`, which depends on the prompt.
base::Result<engine::SamplingParams> engine_sampling(const SamplingParams& from,
                                                     const text::Tokenizer& tokenizer);
api::ChoiceOptions choice_options(const SamplingParams& from);

}  // namespace vsurge::facade
