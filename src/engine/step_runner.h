// StepRunner: what runs a plan. Real: Executor. In simulation: an oracle that checks it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"
#include "kernels/sample.h"

namespace vsurge::engine {

// A part of one sequence that a step computes.
struct PlannedSequence {
  Ticket ticket = 0;
  int first = 0;                        // position of the first token to compute
  std::span<const TokenId> tokens;      // the tokens to compute, >= 1
  std::span<const std::int32_t> pages;  // its pages in order, just enough for first + tokens
  bool wants_token = false;             // the last token's logits are sampled
  kernels::SampleRow sampling{};        // when wants_token
  TokenConstraint* constraint = nullptr;
};

// Plain data; spans are valid until commit.
struct StepPlan {
  std::uint64_t step = 0;
  std::vector<PlannedSequence> sequences;
  int tokens = 0;  // sum over sequences

  bool empty() const { return sequences.empty(); }
};

// One per planned sequence, in the same order.
struct SequenceResult {
  TokenId token = -1;   // when wants_token and no error
  base::Status status;  // an error ends this sequence alone
};
struct StepResult {
  std::vector<SequenceResult> sequences;
};

class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // Engine thread. `result` comes with one default entry per planned sequence. A throw ends all
  // requests and the engine (kEngineUnavailable), not the process.
  virtual void run(const StepPlan& plan, StepResult& result) = 0;
};

}  // namespace vsurge::engine
