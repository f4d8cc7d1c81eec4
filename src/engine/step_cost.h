// StepCost: how long a step takes on this machine, as far as planning needs to know.
#pragma once

#include <array>
#include <cstdint>

namespace vsurge::engine {

// What a step computes.
struct StepLoad {
  int tokens = 0;
  int rows = 0;  // of logits
  // Keys that queries read, per layer and head: by sequences with one token in the step, and by
  // those with more, which read each key for many queries at once.
  std::int64_t decode_keys = 0;
  std::int64_t prompt_keys = 0;
};

// Measured at start, or read from a file; all zero = unknown, then steps are bounded by tokens
// alone.
struct StepCost {
  // Nanoseconds of a step of 2^i tokens of short contexts and one row of logits; 0 from the first
  // that was not measured.
  static constexpr int kPowers = 14;  // up to 8,192 tokens
  std::array<double, kPowers> tokens_ns{};
  double row_ns = 0;  // what each further row of logits adds
  double decode_key_ns = 0;
  double prompt_key_ns = 0;
  // Times as measured since, by those predicted.
  double correction = 1;

  bool known() const { return tokens_ns[0] > 0; }
  // Linear in tokens between the powers and beyond the last. 0 without tokens or knowledge.
  double predict_ns(const StepLoad& load) const;
};

}  // namespace vsurge::engine
