// What a checkpoint says about ending a text and about sampling.
#pragma once

#include "base/error.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/spec.h"

namespace vsurge::model {

// End-of-text ids are those of config.json and generation_config.json together; a wrong id in
// either is kBadModel, for a text would not end. A wrong value for sampling is ignored with a
// warning. `generation` may be nullptr.
base::Result<GenerationDefaults> read_generation(const ConfigObject& config,
                                                 const Config* generation, int vocabulary);

// The ids of end of text, of turn and of message of tokenizer.ggml.
base::Result<GenerationDefaults> read_generation(const GgufFile& file, int vocabulary);

}  // namespace vsurge::model
