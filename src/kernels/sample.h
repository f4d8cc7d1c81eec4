// Sampling of one token from one row of logits: exact and deterministic.
#pragma once

#include <stdint.h>

namespace vsurge::kernels {

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
