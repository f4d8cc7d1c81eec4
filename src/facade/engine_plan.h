// What SurgeOptions come to for the engine.
#pragma once

#include "engine/options.h"
#include "model/model.h"
#include "vsurge/surge.h"

namespace vsurge::facade {

// All but the pages and the cost of steps. The options must be in range.
engine::EngineOptions engine_options(const SurgeOptions& options, const model::ModelInfo& info,
                                     int context_max);
void add_eos(engine::EngineOptions& options, std::int32_t id);

// The largest step of such an engine.
model::StepLimits step_limits(const engine::EngineOptions& options, tensor::DType kv_dtype);

}  // namespace vsurge::facade
