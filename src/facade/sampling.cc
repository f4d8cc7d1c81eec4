#include "facade/sampling.h"

#include <algorithm>

#include "api/limits.h"
#include "api/sampling_texts.h"
#include "base/limits.h"

namespace vsurge::facade {
namespace {

using base::ErrorCode;
using base::fail_param;

base::Status in_range(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return {};
  return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected {} to {}, found {}", name,
                    least, most, value);
}

base::Status check_texts(const char* name, const std::vector<std::string>& texts,
                         std::size_t count_max, std::size_t bytes_max) {
  if (texts.size() > count_max) {
    return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected at most {}, found {}", name,
                      count_max, texts.size());
  }
  for (const std::string& text : texts) {
    if (!text.empty() && text.size() <= bytes_max) continue;
    return fail_param(ErrorCode::kInvalidRequest, name, "{}: expected 1 to {} bytes, found {}",
                      name, bytes_max, text.size());
  }
  return {};
}

engine::BeamStop beam_stop(EarlyStopping from) {
  switch (from) {
    case EarlyStopping::YES:
      return engine::BeamStop::kWhenFull;
    case EarlyStopping::NEVER:
      return engine::BeamStop::kNever;
    case EarlyStopping::NO:
      break;
  }
  return engine::BeamStop::kWhenUnlikely;
}

void set_dry(const SamplingParams& from, engine::SamplingParams& to) {
  to.dry = {.multiplier = from.dry_penalty_last_n == 0 ? 0.0F : from.dry_multiplier,
            .base = from.dry_base,
            .allowed_length = from.dry_allowed_length,
            .range = std::max(from.dry_penalty_last_n, 0),
            .sequence_breakers = {}};
}

// How many are made, and how.
void set_choices(const SamplingParams& from, engine::SamplingParams& to) {
  to.n = from.best_of.value_or(from.n);
  to.logprobs = from.logprobs;
  to.logprob_token_ids = from.logprob_token_ids;
  to.prompt_logprobs = from.prompt_logprobs;
  if (from.use_beam_search) {
    to.beam = {.width = to.n,
               .length_penalty = from.length_penalty,
               .early_stopping = beam_stop(from.early_stopping)};
    to.n = from.n;
  } else if (to.n > from.n && !to.logprobs) {
    to.logprobs = 0;  // the best are told by them
  }
}

}  // namespace

base::Status check_sampling(const SamplingParams& s) {
  constexpr base::JsonLimits kText;
  constexpr base::EngineLimits kEngine;
  VSURGE_TRY(check_texts("stop", s.stop, kText.stop_strings_max, kText.stop_string_bytes_max));
  VSURGE_TRY(check_texts("bad_words", s.bad_words, kEngine.bad_words_max, api::kBadWordBytesMax));
  VSURGE_TRY(check_texts("dry_sequence_breakers", s.dry_sequence_breakers, api::kDryBreakersMax,
                         api::kDryBreakerBytesMax));
  VSURGE_TRY(in_range("n", s.n, 1, kEngine.choices_max));
  if (s.best_of) VSURGE_TRY(in_range("best_of", *s.best_of, s.n, kEngine.choices_max));
  VSURGE_TRY(in_range("length_penalty", static_cast<double>(s.length_penalty), -10, 10));
  if (s.use_beam_search && s.best_of.value_or(s.n) < 2) {
    return fail_param(ErrorCode::kInvalidRequest, "use_beam_search",
                      "use_beam_search: expected n or best_of of 2 or more, its width");
  }
  VSURGE_TRY(in_range("dry_penalty_last_n", s.dry_penalty_last_n, -1, 1 << 30));
  if (s.timeout && !(*s.timeout > 0 && *s.timeout <= api::kTimeoutSecondsMax)) {
    return fail_param(ErrorCode::kInvalidRequest, "timeout",
                      "timeout: expected more than 0 and at most {} seconds, found {}",
                      api::kTimeoutSecondsMax, *s.timeout);
  }
  return in_range("top_k", s.top_k, -1, 1 << 30);
}

base::Result<engine::SamplingParams> engine_sampling(const SamplingParams& from,
                                                     const text::Tokenizer& tokenizer) {
  engine::SamplingParams to;
  to.temperature = from.temperature;
  to.top_p = from.top_p;
  to.min_p = from.min_p;
  to.top_k = std::max(from.top_k, 0);
  to.typical_p = from.typical_p;
  to.top_n_sigma = from.top_n_sigma;
  to.repetition_penalty = from.repetition_penalty;
  to.presence_penalty = from.presence_penalty;
  to.frequency_penalty = from.frequency_penalty;
  to.xtc = {.probability = from.xtc_probability, .threshold = from.xtc_threshold};
  set_dry(from, to);
  to.logit_bias.assign(from.logit_bias.begin(), from.logit_bias.end());
  to.allowed_token_ids = from.allowed_token_ids;
  to.suppress_tokens = from.suppress_tokens;
  to.seed = from.seed;
  to.min_tokens = from.min_tokens;
  to.max_tokens = from.max_tokens;
  to.stop_token_ids = from.stop_token_ids;
  to.ignore_eos = from.ignore_eos;
  to.speculative_tokens = from.speculative_tokens;
  set_choices(from, to);
  const api::SamplingTexts texts{.bad_words = from.bad_words,
                                 .dry_breakers = from.dry_sequence_breakers,
                                 .thinking_tokens = {}};
  VSURGE_TRY(api::resolve_texts(tokenizer, texts, to));
  return to;
}

api::ChoiceOptions choice_options(const SamplingParams& from) {
  return {.text = {.stops = from.stop,
                   .include_stop = from.include_stop_str_in_output,
                   .skip_special = from.skip_special_tokens,
                   .min_tokens = from.min_tokens},
          .stop_token_ids = from.stop_token_ids,
          .scored = from.logprobs.has_value(),
          .keep_ids = true,
          .prompt_only = false};
}

}  // namespace vsurge::facade
