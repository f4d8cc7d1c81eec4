#include "vsurge/auto_model.h"

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/log.h"
#include "facade/auto_model_state.h"
#include "facade/errors.h"
#include "facade/logging.h"
#include "facade/progress.h"
#include "model/inspect.h"
#include "model/packed_folder.h"

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

// Where the progress of a load goes; `bar` must outlive the load.
model::LoadOptions load_options(const facade::LoadPlan& plan, const PretrainedOptions& options,
                                facade::Progress& bar) {
  model::LoadOptions result;
  result.weights = plan.weights;
  result.head = plan.head;
  if (options.progress) {
    result.progress = options.progress;
  } else if (options.verbose) {
    result.progress = [&bar](std::int64_t done, std::int64_t total) { bar.update(done, total); };
  }
  return result;
}

base::Status quantize(const std::string& path, const std::string& folder,
                      const PretrainedOptions& options) {
  facade::ensure_logging();
  const facade::LoadPlan plan = VSURGE_TRY(facade::plan_load(options));
  const auto backend =
      VSURGE_TRY(tensor::make_cpu_backend({.threads = options.threads, .isa = options.isa}));
  facade::Progress bar("packing");
  return model::write_packed_folder(path, folder, *backend, load_options(plan, options, bar));
}

base::Result<std::shared_ptr<AutoModelForCausalLM::State>> load(const std::string& path,
                                                                const PretrainedOptions& options) {
  facade::ensure_logging();
  auto state = std::make_shared<AutoModelForCausalLM::State>();
  state->plan = VSURGE_TRY(facade::plan_load(options));
  state->backend =
      VSURGE_TRY(tensor::make_cpu_backend({.threads = options.threads, .isa = options.isa}));
  const base::SteadyClock clock;
  const base::Nanoseconds start = clock.now();
  facade::Progress bar("loading");
  state->model =
      VSURGE_TRY(model::load_model(path, *state->backend, load_options(state->plan, options, bar)));
  if (options.verbose) {
    const model::ModelInfo& info = state->model->info();
    base::log_info("weights: {:.0f} MiB {} in {:.2f} s",
                   static_cast<double>(info.weight_bytes) / (1024.0 * 1024.0),
                   info.mapped_bytes > 0 ? "mapped" : "read and packed",
                   static_cast<double>(clock.now() - start) * 1e-9);
  }
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

void quantize_checkpoint(const std::string& path, const std::string& folder,
                         const PretrainedOptions& options) {
  facade::unwrap(quantize(path, folder, options));
}

std::string inspect_checkpoint(const std::string& path) {
  return facade::unwrap(model::inspect(path));
}

}  // namespace vsurge
