#include "facade/engine_plan.h"

#include <algorithm>

namespace vsurge::facade {

void add_eos(engine::EngineOptions& options, std::int32_t id) {
  if (std::ranges::find(options.eos_tokens, id) != options.eos_tokens.end()) return;
  options.eos_tokens.push_back(id);
}

engine::EngineOptions engine_options(const SurgeOptions& options, const model::ModelInfo& info,
                                     int context_max) {
  engine::EngineOptions result;
  result.max_concurrent_decodes = options.max_concurrent_decodes;
  result.max_concurrent_prefill = options.max_concurrent_prefill;
  // A step holds the budget of tokens, or one token of each running sequence if that is more.
  result.max_batched_tokens =
      std::max(options.max_num_batched_tokens, options.max_concurrent_decodes);
  result.context_max = context_max;
  result.page_size = options.page_size;
  result.vocabulary = info.vocabulary;
  result.hidden = info.hidden;
  result.generates = info.generates;
  result.eos_tokens = info.eos_tokens;
  for (const std::int32_t id : options.extra_eos_token_ids) add_eos(result, id);
  result.seed = options.seed;
  result.window = info.window;
  result.prefix_cache = options.enable_prefix_caching;
  result.limits.queue_requests_max = options.max_queue_requests;
  result.limits.queue_tokens_max = options.max_queue_tokens;
  result.watchdog = static_cast<base::Nanoseconds>(options.watchdog_s * 1e9);
  result.target_step = static_cast<base::Nanoseconds>(options.target_step_ms * 1e6);
  return result;
}

model::StepLimits step_limits(const engine::EngineOptions& options, tensor::DType kv_dtype) {
  return {.tokens_max = options.max_batched_tokens,
          .sequences_max = options.max_concurrent_decodes,
          .logit_rows_max = engine::logit_rows_max(options),
          .context_max = options.context_max,
          .page_size = options.page_size,
          .pages = options.pages,
          .kv_dtype = kv_dtype};
}

}  // namespace vsurge::facade
