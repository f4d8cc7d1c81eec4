// How the next token is chosen, when an answer ends, and what is told of it. Names and defaults are
// vLLM's, and llama.cpp's for what vLLM lacks; docs/ENGINE.md says what each means exactly.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vsurge {

// When beam search may end before all beams have: as soon as enough have ended (YES), when a better
// one is unlikely (NO) or impossible (NEVER). transformers' early_stopping.
enum class EarlyStopping { NO, YES, NEVER };

struct SamplingParams {
  std::optional<int> max_tokens = 16;      // absent: what fits the context
  float temperature = 1.0F;                // [0, 2]; 0 = greedy
  float top_p = 1.0F;                      // (0, 1]
  int top_k = 0;                           // 0 and -1 = off
  float min_p = 0.0F;                      // [0, 1]
  std::optional<std::uint64_t> seed = {};  // the same seed gives the same answer
  std::vector<std::string> stop = {};      // at most 4
  std::vector<std::int32_t> stop_token_ids = {};
  bool ignore_eos = false;

  int n = 1;                        // answers to each prompt, [1, 128]
  std::optional<int> best_of = {};  // makes so many, and the n likeliest per token come back

  float repetition_penalty = 1.0F;  // (0, 10]; prompt and answer
  float presence_penalty = 0.0F;    // [-2, 2]; answer only
  float frequency_penalty = 0.0F;   // [-2, 2]; answer only
  float typical_p = 1.0F;           // (0, 1]; 1 = off
  float top_n_sigma = 0.0F;         // >= 0; 0 = off
  float xtc_probability = 0.0F;     // [0, 1]; 0 = off
  float xtc_threshold = 0.1F;       // [0, 0.5]
  float dry_multiplier = 0.0F;      // [0, 100]; 0 = off
  float dry_base = 1.75F;           // [1, 10]
  int dry_allowed_length = 2;       // >= 1
  int dry_penalty_last_n = -1;      // tokens looked back on; -1 = all, 0 = DRY is off
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};

  std::map<std::int32_t, float> logit_bias = {};     // id -> [-100, 100]
  std::vector<std::string> bad_words = {};           // never come out, nor with a space before
  std::vector<std::int32_t> allowed_token_ids = {};  // empty = all
  std::vector<std::int32_t> suppress_tokens = {};    // never come out
  int min_tokens = 0;                                // nothing ends an answer before
  std::optional<int> thinking_token_budget = {};     // then reasoning is closed

  std::optional<int> logprobs = {};  // [0, 20] likeliest tokens beside each
  // With logprobs: up to 128 tokens told beside each instead, in this order.
  std::vector<std::int32_t> logprob_token_ids = {};
  std::optional<int> prompt_logprobs = {};  // likeliest tokens beside each of the prompt
  bool include_stop_str_in_output = false;
  bool skip_special_tokens = true;  // in the text

  bool use_beam_search = false;  // best_of beams, else n
  float length_penalty = 1.0F;   // [-10, 10]
  EarlyStopping early_stopping = EarlyStopping::NO;

  int speculative_tokens = 0;          // guessed per step, [0, 16]; never changes the answer
  int priority = 0;                    // lower first
  std::string cache_salt = {};         // prefixes are shared among equal ones alone
  std::optional<double> timeout = {};  // seconds, (0, 86400]; then generate() throws
};

}  // namespace vsurge
