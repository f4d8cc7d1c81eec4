// Sampling of one token from one row of logits: exact and deterministic.
#pragma once

#include <stdint.h>

namespace vsurge::kernels {

// One token's logit before it is used: x' = penalised(x + bias) - subtract, where penalised(y) =
// y / repetition for y > 0, else y * repetition. subtract = INFINITY bans the token.
struct LogitEdit {
  int32_t token;
  float bias;
  float repetition;  // 1 = none
  float subtract;
};

struct TopLogprob {
  int32_t token;
  float logprob;
};
constexpr int kTopLogprobsMax = 20;

// What decides a row. Random numbers are counter-based, from (seed, position), so a row's token
// depends on nothing else: not on other rows, threads or the instruction set.
struct SampleRow {
  float temperature;  // below kGreedyTemperature: the lowest id among the highest logits
  float top_p;        // (0, 1]; exact over the whole vocabulary, ties by lowest id
  float min_p;        // [0, 1]; keeps p >= min_p * p_max
  int32_t top_k;      // exactly so many, ties by lowest id; 0 = off
  uint64_t seed;
  uint64_t position;               // of the token that is drawn
  const uint32_t* allowed_tokens;  // bit i of word i / 32 = token i may be drawn; nullptr = all

  float typical_p = 1;        // (0, 1]; 1 = off
  float top_n_sigma = 0;      // keeps logits >= max - n * standard deviation; 0 = off
  float xtc_probability = 0;  // 0 = off
  float xtc_threshold = 0.1F;
  const LogitEdit* edits = nullptr;  // each token at most once
  int32_t edits_count = 0;
  const LogitEdit* step_edits = nullptr;  // after `edits`; each token at most once
  int32_t step_edits_count = 0;
  int32_t logprobs = -1;       // alternatives wanted, 0..kTopLogprobsMax; -1 = no logarithms
  int32_t scored_token = -1;   // >= 0: nothing is drawn, this is the token (prompt_logprobs)
};
constexpr float kGreedyTemperature = 1e-5F;

enum class SampleStatus : uint8_t {
  kOk,
  kNotFinite,       // NaN or Inf among the logits
  kNothingAllowed,  // the mask leaves no token
};

struct SampleResult {
  int32_t token;  // -1 unless kOk
  SampleStatus status;
  int32_t rank = 0;       // with logprobs: tokens with a greater logit, plus 1
  float logprob = 0;      // with logprobs: of the logits as they came in
  int32_t top_count = 0;  // SampleRow::logprobs, less for a small vocabulary
  TopLogprob top[kTopLogprobsMax] = {};  // descending, ties by lowest id
};

// Samples one row: KernelTable::sample. logits [vocabulary] may be changed; scratch
// [2 * vocabulary] 8-byte elements.
// Order: temperature, top_k, top_p (of what top_k left), min_p, draw (as transformers applies
// them). top_k goes by logits, top_p by their weights exp((x - max) / temperature) in float.
using SampleFunction = SampleResult (*)(float* logits, int32_t vocabulary, const SampleRow& row,
                                        uint64_t* scratch);

// 64 random bits that depend on the two numbers alone: Philox4x32-10, of Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3" (SC 2011), key = seed, counter = (counter, 0).
uint64_t random_bits(uint64_t seed, uint64_t counter);

}  // namespace vsurge::kernels
