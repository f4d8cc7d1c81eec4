// The families that this library has, and how a checkpoint finds its own.
#pragma once

#include <span>
#include <string>

#include "base/error.h"
#include "model/families/family.h"

namespace vsurge::model {

std::span<const Family> families();

// By model_type and architectures of config.json, or general.architecture of GGUF. kBadModel when
// there is none, with the list of those there are.
base::Result<const Family*> family_of(const Checkpoint& checkpoint);

// The part of read_spec() that needs no tensors. `generation` may be nullptr.
base::Result<DecoderSpec> spec_of_config(const Config& config, const Config* generation);

}  // namespace vsurge::model
