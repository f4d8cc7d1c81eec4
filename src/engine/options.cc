#include "engine/options.h"

#include "engine/beam_search.h"
#include "engine/step_runner.h"

#include <algorithm>
#include <limits>

namespace vsurge::engine {

using base::ErrorCode;
using base::fail;
using base::fail_param;

namespace {

base::Status at_least(const char* name, int value, int least) {
  if (value >= least) return {};
  return fail(ErrorCode::kUsage, "{}: expected at least {}, found {}", name, least, value);
}

base::Status in_range(const char* name, float value, float least, float most, bool open = false) {
  // Written so that NaN fails.
  if (value <= most && (open ? value > least : value >= least)) return {};
  return fail_param(ErrorCode::kInvalidRequest, name,
                    "{}: expected a number in {}{}, {}], found {}", name, open ? '(' : '[', least,
                    most, value);
}

base::Status whole_in_range(const char* name, int value, int least, int most) {
  if (value >= least && value <= most) return {};
  if (most == std::numeric_limits<int>::max()) {
    return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected at least {}, found {}", name,
                      least, value);
  }
  return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected {} to {}, found {}", name,
                    least, most, value);
}

base::Status no_more_than(const char* name, const char* things, std::size_t count,
                          std::size_t most) {
  if (count <= most) return {};
  return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected at most {} {}, found {}", name,
                    most, things, count);
}

base::Status is_token(const EngineOptions& options, const char* name, TokenId token) {
  if (token >= 0 && token < options.vocabulary) return {};
  return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected token ids in 0..{}, found {}",
                    name, options.vocabulary - 1, token);
}

base::Status are_tokens(const EngineOptions& options, const char* name,
                        const std::vector<TokenId>& tokens, std::size_t most) {
  VSURGE_TRY(no_more_than(name, "ids", tokens.size(), most));
  for (const TokenId token : tokens) VSURGE_TRY(is_token(options, name, token));
  return {};
}

base::Status check_truncation(const SamplingParams& sampling) {
  constexpr int kMost = std::numeric_limits<int>::max();
  constexpr float kLargest = std::numeric_limits<float>::max();
  VSURGE_TRY(in_range("temperature", sampling.temperature, 0.0F, 2.0F));
  VSURGE_TRY(whole_in_range("top_k", sampling.top_k, 0, kMost));
  VSURGE_TRY(in_range("top_p", sampling.top_p, 0.0F, 1.0F, true));
  VSURGE_TRY(in_range("min_p", sampling.min_p, 0.0F, 1.0F));
  VSURGE_TRY(in_range("typical_p", sampling.typical_p, 0.0F, 1.0F, true));
  VSURGE_TRY(in_range("top_n_sigma", sampling.top_n_sigma, 0.0F, kLargest));
  VSURGE_TRY(in_range("xtc_probability", sampling.xtc.probability, 0.0F, 1.0F));
  return in_range("xtc_threshold", sampling.xtc.threshold, 0.0F, 0.5F);
}

base::Status check_penalties(const EngineOptions& options, const SamplingParams& sampling) {
  constexpr int kMost = std::numeric_limits<int>::max();
  VSURGE_TRY(in_range("repetition_penalty", sampling.repetition_penalty, 0.0F, 10.0F, true));
  VSURGE_TRY(in_range("presence_penalty", sampling.presence_penalty, -2.0F, 2.0F));
  VSURGE_TRY(in_range("frequency_penalty", sampling.frequency_penalty, -2.0F, 2.0F));
  VSURGE_TRY(in_range("dry_multiplier", sampling.dry.multiplier, 0.0F, 100.0F));
  VSURGE_TRY(in_range("dry_base", sampling.dry.base, 1.0F, 10.0F));
  VSURGE_TRY(whole_in_range("dry_allowed_length", sampling.dry.allowed_length, 1, kMost));
  VSURGE_TRY(whole_in_range("dry_penalty_last_n", sampling.dry.range, 0, kMost));
  return are_tokens(options, "dry_sequence_breakers", sampling.dry.sequence_breakers,
                    options.limits.sequence_breakers_max);
}

base::Status check_bans(const EngineOptions& options, const SamplingParams& sampling) {
  const base::EngineLimits& limits = options.limits;
  VSURGE_TRY(no_more_than("logit_bias", "ids", sampling.logit_bias.size(), limits.logit_bias_max));
  for (const auto& [token, bias] : sampling.logit_bias) {
    VSURGE_TRY(is_token(options, "logit_bias", token));
    VSURGE_TRY(in_range("logit_bias", bias, -100.0F, 100.0F));
  }
  VSURGE_TRY(no_more_than("bad_words", "words", sampling.bad_words.size(), limits.bad_words_max));
  for (const std::vector<TokenId>& word : sampling.bad_words) {
    if (word.empty()) {
      return fail_param(ErrorCode::kInvalidRequest, "bad_words",
                        "bad_words: expected at least one token in each, found an empty one");
    }
    VSURGE_TRY(are_tokens(options, "bad_words", word, limits.bad_word_tokens_max));
  }
  // More than the vocabulary can only be repetitions.
  const auto vocabulary = static_cast<std::size_t>(options.vocabulary);
  VSURGE_TRY(are_tokens(options, "allowed_token_ids", sampling.allowed_token_ids, vocabulary));
  VSURGE_TRY(are_tokens(options, "suppress_tokens", sampling.suppress_tokens, vocabulary));
  if (!sampling.thinking) return {};
  const ThinkingBudget& thinking = *sampling.thinking;
  VSURGE_TRY(
      whole_in_range("thinking_token_budget", thinking.tokens, 0, std::numeric_limits<int>::max()));
  VSURGE_TRY(is_token(options, "thinking_token_budget", thinking.end_token));
  if (thinking.begin_token == -1) return {};
  return is_token(options, "thinking_token_budget", thinking.begin_token);
}

base::Status check_length(const EngineOptions& options, const SamplingParams& sampling) {
  constexpr int kMost = std::numeric_limits<int>::max();
  if (sampling.max_tokens) VSURGE_TRY(whole_in_range("max_tokens", *sampling.max_tokens, 1, kMost));
  VSURGE_TRY(whole_in_range("min_tokens", sampling.min_tokens, 0, kMost));
  if (sampling.max_tokens && sampling.min_tokens > *sampling.max_tokens) {
    return fail_param(ErrorCode::kInvalidRequest, "min_tokens",
                      "min_tokens: expected at most max_tokens ({}), found {}",
                      *sampling.max_tokens, sampling.min_tokens);
  }
  return are_tokens(options, "stop_token_ids", sampling.stop_token_ids,
                    options.limits.stop_token_ids_max);
}

// A search goes by what the model itself says: nothing else that draws or edits has a meaning.
base::Status check_only_beams(const SamplingParams& sampling) {
  const struct {
    const char* name;
    bool used;
  } fields[] = {
      {"temperature", sampling.temperature != 0.0F && sampling.temperature != 1.0F},
      {"top_k", sampling.top_k != 0},
      {"top_p", sampling.top_p != 1.0F},
      {"min_p", sampling.min_p != 0.0F},
      {"typical_p", sampling.typical_p != 1.0F},
      {"top_n_sigma", sampling.top_n_sigma != 0.0F},
      {"xtc_probability", sampling.xtc.probability != 0.0F},
      {"repetition_penalty", sampling.repetition_penalty != 1.0F},
      {"presence_penalty", sampling.presence_penalty != 0.0F},
      {"frequency_penalty", sampling.frequency_penalty != 0.0F},
      {"dry_multiplier", sampling.dry.multiplier != 0.0F},
      {"logit_bias", !sampling.logit_bias.empty()},
      {"bad_words", !sampling.bad_words.empty()},
      {"allowed_token_ids", !sampling.allowed_token_ids.empty()},
      {"suppress_tokens", !sampling.suppress_tokens.empty()},
      {"thinking_token_budget", sampling.thinking.has_value()},
      {"logprob_token_ids", !sampling.logprob_token_ids.empty()},
      {"prompt_logprobs", sampling.prompt_logprobs.has_value()},
      {"speculative_tokens", sampling.speculative_tokens != 0},
  };
  for (const auto& [name, used] : fields) {
    if (!used) continue;
    return fail_param(ErrorCode::kInvalidRequest, name,
                      "{}: has no meaning with beam search; leave it out", name);
  }
  return {};
}

base::Status check_beams(const EngineOptions& options, const SamplingParams& sampling) {
  constexpr float kPenaltyMax = 10.0F;
  const BeamSearch& beam = sampling.beam;
  const int stops = static_cast<int>(stop_tokens(sampling, options.eos_tokens).size());
  // So that as many go on in each step as there are beams, whatever ends.
  const int most =
      std::min({running_max(options), kBeamCandidatesMax - stops, options.vocabulary - stops});
  if (beam.width < 2 || beam.width > most) {
    return fail_param(ErrorCode::kInvalidRequest, "n",
                      "n: expected 2 to {} beams with {} tokens that end an answer, found {}", most,
                      stops, beam.width);
  }
  if (sampling.n > beam.width) {
    return fail_param(ErrorCode::kInvalidRequest, "n",
                      "n: expected at most as many answers as beams ({}), found {}", beam.width,
                      sampling.n);
  }
  VSURGE_TRY(in_range("length_penalty", beam.length_penalty, -kPenaltyMax, kPenaltyMax));
  return check_only_beams(sampling);
}

base::Status check_sampling(const EngineOptions& options, const SamplingParams& sampling) {
  VSURGE_TRY(check_truncation(sampling));
  VSURGE_TRY(check_penalties(options, sampling));
  VSURGE_TRY(check_bans(options, sampling));
  VSURGE_TRY(check_length(options, sampling));
  VSURGE_TRY(whole_in_range("n", sampling.n, 1, options.limits.choices_max));
  if (sampling.beam.width != 0) VSURGE_TRY(check_beams(options, sampling));
  VSURGE_TRY(whole_in_range("speculative_tokens", sampling.speculative_tokens, 0,
                            options.limits.speculative_tokens_max));
  if (sampling.logprobs) {
    VSURGE_TRY(whole_in_range("logprobs", *sampling.logprobs, 0, kTopLogprobsMax));
  }
  if (sampling.prompt_logprobs) {
    VSURGE_TRY(whole_in_range("prompt_logprobs", *sampling.prompt_logprobs, 0, kTopLogprobsMax));
  }
  if (sampling.logprob_token_ids.empty()) return {};
  if (!sampling.logprobs) {
    return fail_param(ErrorCode::kInvalidRequest, "logprob_token_ids",
                      "logprob_token_ids: has no meaning without logprobs");
  }
  return are_tokens(options, "logprob_token_ids", sampling.logprob_token_ids, kLogprobTokenIdsMax);
}

base::Status check_pooling(const EngineOptions& options, const Request& request) {
  if (!request.pooling) {
    if (options.generates) return {};
    return fail(ErrorCode::kInvalidRequest,
                "this checkpoint makes vectors of texts; it has no head that makes tokens");
  }
  const Pooling& pooling = *request.pooling;
  const bool logits = !pooling.logits_of.empty();
  if (options.hidden == 0 || (logits && !options.generates)) {
    return fail(ErrorCode::kInvalidRequest, "this checkpoint is not made for pooling");
  }
  const SamplingParams& sampling = request.sampling;
  if (sampling.n != 1 || sampling.beam.width != 0 || sampling.prompt_logprobs ||
      sampling.logprobs || sampling.max_tokens || !request.constraints.empty() ||
      (logits && pooling.states != PooledStates::kLast)) {
    return fail(ErrorCode::kInvalidRequest, "pooling: nothing is sampled");
  }
  return are_tokens(options, "pooling", pooling.logits_of, kPooledLogitsMax);
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
  VSURGE_TRY(at_least("hidden", options.hidden, 0));
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
    return fail(ErrorCode::kUsage,
                "client_weights: expected a number in (0, 1000000] for {}, found {}", client,
                weight);
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
  return std::min(running_max(options) + kExtraRows,
                  std::max(running_max(options), options.max_batched_tokens));
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
  VSURGE_TRY(check_pooling(options, request));
  if (request.sampling.beam.width != 0 && !request.constraints.empty()) {
    return fail_param(ErrorCode::kInvalidRequest, "response_format",
                      "response_format: has no meaning with beam search; leave it out");
  }
  VSURGE_TRY(are_tokens(options, "prediction", request.prediction,
                        std::numeric_limits<std::size_t>::max()));
  if (request.prompt.empty()) {
    return fail_param(ErrorCode::kInvalidRequest, "prompt",
                      "prompt: expected at least one token, found none");
  }
  const auto tokens_max = static_cast<std::size_t>(sequence_tokens_max(options));
  const std::size_t prompt = request.prompt.size();
  const char* reason = tokens_max < static_cast<std::size_t>(options.context_max)
                           ? "the KV cache holds"
                           : "the context of this model is";
  if (request.pooling && prompt > tokens_max) {
    return fail_param(ErrorCode::kContextLengthExceeded, "prompt",
                      "{} {} tokens, but the prompt has {}", reason, tokens_max, prompt);
  }
  if (!request.pooling && prompt + 1 > tokens_max) {
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
