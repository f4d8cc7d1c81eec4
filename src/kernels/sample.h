// Sampling of one token from one row of logits: exact and deterministic.
#pragma once

#include <stddef.h>
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

// What decides a row; the order in which the fields apply stands at SampleFunction. Random numbers
// are counter-based, from (seed, position), so a row's token depends on nothing else: not on other
// rows, threads or the instruction set.
struct SampleRow {
  float temperature;  // below kGreedyTemperature: the lowest id among the highest logits
  float top_p;        // (0, 1]; the fewest likeliest tokens that have it, ties by lowest id
  float min_p;        // [0, 1]; keeps p >= min_p * p_max
  int32_t top_k;      // exactly so many, ties by lowest id; 0 = off
  uint64_t seed;
  uint64_t position;               // of the token that is drawn
  const uint32_t* allowed_tokens;  // bit i of word i / 32 = token i may be drawn; nullptr = all

  float typical_p = 1;               // (0, 1]; 1 = off
  float top_n_sigma = 0;             // keeps logits >= max - n * standard deviation; 0 = off
  float xtc_probability = 0;         // [0, 1]; 0 = off
  float xtc_threshold = 0.1F;        // [0, 0.5]
  const LogitEdit* edits = nullptr;  // each token at most once
  int32_t edits_count = 0;
  const LogitEdit* step_edits = nullptr;  // after `edits`; each token at most once
  int32_t step_edits_count = 0;
  int32_t logprobs = -1;      // alternatives wanted; -1 = no logarithms
  int32_t scored_token = -1;  // >= 0: nothing is drawn, this token's logprobs are told
  TopLogprob* top = nullptr;  // [logprobs] where the alternatives go; nullptr = nowhere
  // [logprobs] valid ids: the alternatives are these, in this order; nullptr = the likeliest
  const int32_t* told_tokens = nullptr;
};
constexpr float kGreedyTemperature = 1e-5F;

constexpr bool is_greedy(const SampleRow& row) {
  return !(row.temperature >= kGreedyTemperature) || row.top_k == 1;
}

// Nothing but the lowest id among the highest logits is wanted of it, as they came in.
constexpr bool wants_greatest(const SampleRow& row) {
  return is_greedy(row) && row.allowed_tokens == nullptr &&
         row.edits_count + row.step_edits_count == 0 && row.logprobs < 0 && row.scored_token < 0;
}

enum class SampleStatus : uint8_t {
  kOk,
  kNotFinite,       // NaN or Inf among the logits
  kNothingAllowed,  // mask and bans leave no token
};

struct SampleResult {
  int32_t token;  // -1 unless kOk
  SampleStatus status;
  int32_t rank = 0;                 // with logprobs: tokens with a greater logit, plus 1
  float logprob = 0;                // with logprobs: of the logits as they came in
  int32_t top_count = 0;            // SampleRow::logprobs, less for a small vocabulary
  const TopLogprob* top = nullptr;  // SampleRow::top: the likeliest descend, ties by lowest id
};

// Eight-byte elements of scratch that one row needs.
constexpr size_t sample_scratch(int32_t vocabulary) {
  const size_t tokens = static_cast<size_t>(vocabulary), blocks = (tokens + 255) / 256;
  // Alignment; maxima, weights, sum and mark of each block; three arrays by token.
  return (6 * 64 + blocks * (64 + 1024 + 8 + 1) + 3 * 4 * (tokens + 16)) / 8 + 1;
}

// Samples one row: KernelTable::sample. logits [vocabulary] may be changed; scratch
// [sample_scratch(vocabulary)].
//
// Order, p being the softmax over what the stages before have left:
//   0. a logit that is NaN or infinite ends it (kNotFinite); logprobs and rank are taken, of the
//      logits as they came in.
//   1. `edits`, then `step_edits`; results are kept finite. 2. allowed_tokens. Nothing left ends it
//      (kNothingAllowed). temperature 0: the highest logit now, and nothing of what follows.
//   3. top_n_sigma: x >= max - n * sigma, sigma of all x left (divided by their number).
//   4. temperature: x / temperature.
//   5. top_k by logit. 6. top_p. 7. min_p.
//   8. typical_p: with H = -sum p log p, the fewest tokens of least |-log p - H| that have the
//   mass,
//      and those equal to the last of them (Meister et al., "Locally typical sampling", 2022).
//   9. XTC, with xtc_probability: of the tokens with p >= xtc_threshold only the least likely stays
//      (of equals the highest id).
//  10. the draw, by ascending id.
// 4 to 8 are transformers' order. Weights exp((x - max) / temperature) are floats, sums of them
// doubles; a weight below 2^-126 is 0.
using SampleFunction = SampleResult (*)(float* logits, int32_t vocabulary, const SampleRow& row,
                                        uint64_t* scratch);

// 64 random bits that depend on the three numbers alone: Philox4x32-10, of Salmon et al., "Parallel
// random numbers: as easy as 1, 2, 3" (SC 2011), key = seed, counter = (counter, stream, 0).
// Stream 0 draws tokens, 1 tosses XTC's coin.
uint64_t random_bits(uint64_t seed, uint64_t counter, uint32_t stream = 0);

}  // namespace vsurge::kernels
