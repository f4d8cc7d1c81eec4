#include "vsurge/model_map.h"

#include <algorithm>
#include <set>

#include "base/escape.h"
#include "base/memory.h"
#include "facade/auto_model_state.h"
#include "facade/engine_plan.h"
#include "facade/errors.h"
#include "facade/memory_plan.h"
#include "facade/surge_state.h"

namespace vsurge {
namespace {

using base::ErrorCode;
using base::fail;

std::string shown(const std::string& name) {
  return base::shorten(base::escape_for_line(name), 80);
}

base::Status check(const std::vector<ModelSource>& sources, double spare) {
  if (sources.empty()) return fail(ErrorCode::kUsage, "models: expected at least one");
  constexpr double kWeightMax = 1e6;
  std::set<std::string> names;
  for (const ModelSource& source : sources) {
    if (source.model.state() == nullptr) {
      return fail(ErrorCode::kUsage, "model '{}': expected one of from_pretrained(), found none",
                  shown(source.name));
    }
    if (!(source.memory > 0 && source.memory <= kWeightMax)) {
      return fail(ErrorCode::kUsage,
                  "model '{}': expected a memory above 0 and at most {}, found {}",
                  shown(source.name), kWeightMax, source.memory);
    }
    if (!names.insert(source.name).second) {
      return fail(ErrorCode::kUsage, "model '{}': the name is there twice", shown(source.name));
    }
  }
  if (spare >= 0 && spare <= kWeightMax) return {};
  return fail(ErrorCode::kUsage, "spare: expected 0 to {}, found {}", kWeightMax, spare);
}

SurgeOptions options_of(const ModelSource& source, SurgeOptions options) {
  options.vsurge_name = source.name;
  const int longest = source.model.state()->context_max;
  if (options.max_length) options.max_length = std::min(*options.max_length, longest);
  if (options.max_prefill_length) {
    const int most = options.max_length.value_or(longest);
    options.max_prefill_length = std::min(*options.max_prefill_length, most);
  }
  return options;
}

// The options must be in range for it to mean anything; from_model() says if they are not.
std::int64_t bytes_to_divide(const std::vector<ModelSource>& sources, const SurgeOptions& options) {
  facade::KvDemand demand{.allowed_bytes = base::memory_allowed_bytes(),
                          .utilization = options.hbm_utilization,
                          .fixed_bytes = facade::taken_by_all_surges(),
                          .available_bytes = base::memory_available_bytes(),
                          .kv_bytes = options.kv_cache_memory_bytes};
  for (const ModelSource& source : sources) {
    const AutoModelForCausalLM::State& loaded = *source.model.state();
    const model::ModelInfo& info = loaded.model->info();
    const SurgeOptions own = options_of(source, options);
    const int context = own.max_length.value_or(loaded.context_max);
    const engine::EngineOptions engine = facade::engine_options(own, info, context);
    const std::int64_t step =
        loaded.model->step_bytes(facade::step_limits(engine, loaded.plan.kv_dtype));
    demand.fixed_bytes += info.weight_bytes + step;
    demand.step_bytes += step;
    demand.available_bytes -= info.mapped_bytes;
    const std::int64_t page = loaded.model->page_bytes(own.page_size, loaded.plan.kv_dtype);
    const std::int64_t pages = (context + own.page_size - 1) / own.page_size;
    demand.context_bytes_max = std::max(demand.context_bytes_max, pages * page);
  }
  return facade::kv_bytes_of_all(demand);
}

}  // namespace

DividedModels divide_memory(const std::vector<ModelSource>& sources, const SurgeOptions& options,
                            double spare) {
  facade::unwrap(check(sources, spare));
  for (const ModelSource& source : sources) {
    facade::unwrap(
        facade::check_surge_options(options_of(source, options), source.model, source.processor));
  }
  std::vector<double> weights;
  for (const ModelSource& source : sources) weights.push_back(source.memory);
  if (spare > 0) weights.push_back(spare);
  const auto shares = facade::divide_bytes(bytes_to_divide(sources, options), weights);
  DividedModels out;
  if (spare > 0) out.spare_bytes = shares.back();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const ModelSource& source = sources[i];
    SurgeOptions own = options_of(source, options);
    own.kv_cache_memory_bytes = std::max<std::int64_t>(1, shares[i]);  // 0 would be the default
    try {
      out.vsurge_map.emplace(source.name, vSurge::from_model(source.model, source.processor, own));
    } catch (const Error& error) {
      throw Error(error.kind(), error.code(),
                  fmt::format("model '{}': {}", shown(source.name), error.what()));
    }
  }
  return out;
}

}  // namespace vsurge
