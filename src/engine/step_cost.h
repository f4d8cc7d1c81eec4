// StepCost: how long a step takes on this machine, as far as planning needs to know.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"

namespace vsurge::engine {

// Measured at start, or read from a file; all zero = unknown, then steps are bounded by tokens
// alone.
struct StepCost {
  // Nanoseconds of a step of 2^i tokens of short contexts; 0 from the first that was not measured.
  static constexpr int kPowers = 14;  // up to 8,192 tokens
  std::array<double, kPowers> tokens_ns{};
  // What each key read by each query adds.
  double context_token_ns = 0;
  // Times as measured since, by those predicted.
  double correction = 1;

  bool known() const { return tokens_ns[0] > 0; }
  // Of a step of `tokens` tokens that read `context_tokens` keys in all; linear between the powers
  // and beyond the last.
  double predict_ns(int tokens, std::int64_t context_tokens) const;
};

}  // namespace vsurge::engine
