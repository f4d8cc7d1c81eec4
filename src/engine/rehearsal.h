// Rehearsal: steps that are run before the first request.
#pragma once

#include "base/clock.h"
#include "engine/step_runner.h"
#include "model/model.h"

namespace vsurge::engine {

// Both write KV pages, and need limits that the runner was made for.

// The largest legal step, with all that a request can ask of it: nothing is touched for the first
// time under load.
void rehearse_largest_step(StepRunner& runner, const model::StepLimits& limits);

// Times steps of all sizes up to the largest; those that take long once.
StepCost measure_step_cost(StepRunner& runner, const model::StepLimits& limits,
                           const base::Clock& clock);

}  // namespace vsurge::engine
