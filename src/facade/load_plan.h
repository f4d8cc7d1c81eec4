// What the arguments of from_pretrained come to on this machine, or why they are refused.
#pragma once

#include <optional>

#include "base/error.h"
#include "model/model.h"
#include "vsurge/auto_model.h"

namespace vsurge::facade {

struct LoadPlan {
  model::WeightChoice weights = model::WeightChoice::kAuto;
  std::optional<model::WeightChoice> head;  // where it was asked for
  tensor::DType kv_dtype = tensor::DType::kBF16;
  std::optional<int> context_max;  // asked for; absent = what the checkpoint says
};

// Checks every argument; none is ignored. kUsage names the one at fault.
base::Result<LoadPlan> plan_load(const PretrainedOptions& options);

}  // namespace vsurge::facade
