#include "vsurge/auto_model.h"

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "facade/auto_model_state.h"
#include "facade/errors.h"
#include "facade/logging.h"
#include "facade/progress.h"
#include "model/inspect.h"

namespace vsurge {
namespace {

using base::ErrorCode;
using base::fail;

// The context to serve: what the arguments ask for, at most what the checkpoint was made for.
base::Result<int> context_of(const facade::LoadPlan& plan, const model::ModelInfo& info) {
  if (!plan.context_max) return info.context_max;
  if (*plan.context_max > info.context_max) {
    return fail(ErrorCode::kUsage,
                "max_position_embeddings: expected at most {} (what the checkpoint says), found {}",
                info.context_max, *plan.context_max);
  }
  return *plan.context_max;
}

base::Result<std::shared_ptr<AutoModelForCausalLM::State>> load(const std::string& path,
                                                                const PretrainedOptions& options) {
  facade::ensure_logging();
  auto state = std::make_shared<AutoModelForCausalLM::State>();
  state->plan = VSURGE_TRY(facade::plan_load(options));
  state->backend =
      VSURGE_TRY(tensor::make_cpu_backend({.threads = options.threads, .isa = options.isa}));
  facade::Progress progress("loading");
  model::LoadOptions load_options;
  load_options.weights = state->plan.weights;
  if (options.progress) {
    load_options.progress = options.progress;
  } else if (options.verbose) {
    load_options.progress = [&](std::int64_t done, std::int64_t total) {
      progress.update(done, total);
    };
  }
  state->model = VSURGE_TRY(model::load_model(path, *state->backend, load_options));
  state->context_max = VSURGE_TRY(context_of(state->plan, state->model->info()));
  // "cpu/avx512, 2 threads"
  const std::string name = state->backend->name();
  const auto slash = name.find('/');
  state->isa = name.substr(slash + 1, name.find(',') - slash - 1);
  state->threads = state->backend->pool().size();
  return state;
}

}  // namespace

AutoModelForCausalLM AutoModelForCausalLM::from_pretrained(const std::string& path,
                                                           const PretrainedOptions& options) {
  AutoModelForCausalLM result;
  result.state_ = facade::unwrap(load(path, options));
  return result;
}

AutoModelForCausalLM::Info AutoModelForCausalLM::info() const {
  if (state_ == nullptr) {
    facade::throw_error(
        {ErrorCode::kUsage, "model: expected one of from_pretrained(), found none", {}});
  }
  const model::ModelInfo& from = state_->model->info();
  Info info;
  info.family = from.family;
  info.weight_format = from.weight_format;
  info.isa = state_->isa;
  info.threads = state_->threads;
  info.parameters = from.parameters;
  info.weight_bytes = from.weight_bytes;
  info.layers = from.layers;
  info.vocab_size = from.vocabulary;
  info.max_length = state_->context_max;
  return info;
}

std::string inspect_checkpoint(const std::string& path) {
  return facade::unwrap(model::inspect(path));
}

}  // namespace vsurge
