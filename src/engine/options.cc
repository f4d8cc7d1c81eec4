#include "engine/options.h"

#include <algorithm>
#include <cmath>

namespace vsurge::engine {

using base::ErrorCode;
using base::fail;
using base::fail_param;

namespace {

base::Status at_least(const char* name, int value, int least) {
  if (value >= least) return {};
  return fail(ErrorCode::kUsage, "{}: expected at least {}, found {}", name, least, value);
}

base::Status in_range(const char* name, float value, float least, float most, bool open) {
  // Written so that NaN fails.
  if (value <= most && (open ? value > least : value >= least)) return {};
  return fail_param(ErrorCode::kInvalidRequest, name,
                    "{}: expected a number in {}{}, {}], found {}", name, open ? '(' : '[', least,
                    most, value);
}

base::Status check_sampling(const EngineOptions& options, const SamplingParams& sampling) {
  VSURGE_TRY(in_range("temperature", sampling.temperature, 0.0F, 2.0F, false));
  VSURGE_TRY(in_range("top_p", sampling.top_p, 0.0F, 1.0F, true));
  VSURGE_TRY(in_range("min_p", sampling.min_p, 0.0F, 1.0F, false));
  if (sampling.top_k < 0) {
    return fail_param(ErrorCode::kInvalidRequest, "top_k",
                      "top_k: expected 0 (off) or more, found {}", sampling.top_k);
  }
  if (sampling.max_tokens && *sampling.max_tokens < 1) {
    return fail_param(ErrorCode::kInvalidRequest, "max_tokens",
                      "max_tokens: expected at least 1, found {}", *sampling.max_tokens);
  }
  if (sampling.stop_token_ids.size() > options.limits.stop_token_ids_max) {
    return fail_param(ErrorCode::kInvalidRequest, "stop_token_ids",
                      "stop_token_ids: expected at most {} ids, found {}",
                      options.limits.stop_token_ids_max, sampling.stop_token_ids.size());
  }
  for (const TokenId token : sampling.stop_token_ids) {
    if (token >= 0 && token < options.vocabulary) continue;
    return fail_param(ErrorCode::kInvalidRequest, "stop_token_ids",
                      "stop_token_ids: expected ids in 0..{}, found {}", options.vocabulary - 1,
                      token);
  }
  return {};
}

}  // namespace

base::Status check_options(const EngineOptions& options) {
  VSURGE_TRY(at_least("max_concurrent_decodes", options.max_concurrent_decodes, 1));
  VSURGE_TRY(at_least("max_concurrent_prefill", options.max_concurrent_prefill, 1));
  VSURGE_TRY(at_least("max_batched_tokens", options.max_batched_tokens, 1));
  VSURGE_TRY(at_least("prefill_chunk_max", options.prefill_chunk_max, 0));
  VSURGE_TRY(at_least("context_max", options.context_max, 2));
  VSURGE_TRY(at_least("page_size", options.page_size, 1));
  VSURGE_TRY(at_least("pages", options.pages, 1));
  VSURGE_TRY(at_least("vocabulary", options.vocabulary, 1));
  VSURGE_TRY(at_least("window", options.window, 0));
  VSURGE_TRY(at_least("passes_max", options.passes_max, 1));
  VSURGE_TRY(at_least("prefix_hash_bits", options.prefix_hash_bits, 1));
  if (options.prefix_hash_bits > 64) {
    return fail(ErrorCode::kUsage, "prefix_hash_bits: expected at most 64, found {}",
                options.prefix_hash_bits);
  }
  if (options.logit_rows_max != 0) {
    VSURGE_TRY(at_least("logit_rows_max", options.logit_rows_max, running_max(options)));
  }
  if (options.target_step < 0) {
    return fail(ErrorCode::kUsage, "target_step: expected 0 (automatic) or more, found {}",
                options.target_step);
  }
  if (!(options.step_stretch >= 1.0 && options.step_stretch <= 1000.0)) {
    return fail(ErrorCode::kUsage, "step_stretch: expected a number in [1, 1000], found {}",
                options.step_stretch);
  }
  for (const auto& [client, weight] : options.client_weights) {
    if (weight > 0 && weight <= 1e6) continue;
    return fail(ErrorCode::kUsage, "client_weights: expected a number in (0, 1000000] for {}, found {}",
                client, weight);
  }
  return at_least("pages * page_size", sequence_tokens_max(options), 2);
}

// Not more sequences than a step has tokens: so each can decode in each step, and when all but one
// do, that one still has a token of the budget to read its prompt.
int running_max(const EngineOptions& options) {
  return std::min(options.max_concurrent_decodes, options.max_batched_tokens);
}

int logit_rows_max(const EngineOptions& options) {
  constexpr int kExtraRows = 32;  // for guesses and scored prompts
  if (options.logit_rows_max > 0) return options.logit_rows_max;
  return std::min(running_max(options) + kExtraRows, std::max(running_max(options), options.max_batched_tokens));
}

std::uint64_t choice_seed(const EngineOptions& options, Ticket ticket,
                          const SamplingParams& sampling, int choice) {
  const std::uint64_t seed =
      sampling.seed ? *sampling.seed : kernels::random_bits(options.seed, ticket);
  return choice == 0 ? seed : kernels::random_bits(seed, static_cast<std::uint64_t>(choice));
}

int sequence_tokens_max(const EngineOptions& options) {
  const auto held = static_cast<std::int64_t>(options.pages) * options.page_size;
  return static_cast<int>(std::min<std::int64_t>(options.context_max, held));
}

base::Status check_request(const EngineOptions& options, const Request& request) {
  VSURGE_TRY(check_sampling(options, request.sampling));
  if (request.prompt.empty()) {
    return fail_param(ErrorCode::kInvalidRequest, "prompt",
                      "prompt: expected at least one token, found none");
  }
  const auto tokens_max = static_cast<std::size_t>(sequence_tokens_max(options));
  const std::size_t prompt = request.prompt.size();
  const char* reason = tokens_max < static_cast<std::size_t>(options.context_max)
                           ? "the KV cache holds"
                           : "the context of this model is";
  if (prompt + 1 > tokens_max) {
    return fail_param(ErrorCode::kContextLengthExceeded, "prompt",
                      "{} {} tokens, but the prompt has {} and needs one more for an answer",
                      reason, tokens_max, prompt);
  }
  if (request.sampling.max_tokens) {
    const auto answer = static_cast<std::size_t>(*request.sampling.max_tokens);
    if (prompt + answer > tokens_max) {
      return fail_param(ErrorCode::kContextLengthExceeded, "max_tokens",
                        "{} {} tokens, but the prompt has {} and max_tokens asks for {} more ({})",
                        reason, tokens_max, prompt, answer, prompt + answer);
    }
  }
  for (const TokenId token : request.prompt) {
    if (token >= 0 && token < options.vocabulary) continue;
    return fail_param(ErrorCode::kInvalidRequest, "prompt",
                      "prompt: expected token ids in 0..{}, found {}", options.vocabulary - 1,
                      token);
  }
  return {};
}

}  // namespace vsurge::engine
