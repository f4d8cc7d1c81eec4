// StepRunner: what runs a plan. Real: Executor. In simulation: an oracle that checks it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"
#include "engine/step_cost.h"
#include "kernels/sample.h"

namespace vsurge::engine {

// A part of one sequence that a step computes.
struct PlannedSequence {
  Ticket ticket = 0;
  int choice = 0;
  int first = 0;                        // position of the first token to compute
  std::span<const TokenId> tokens;      // the tokens to compute, >= 1; the last may be guesses
  std::span<const std::int32_t> pages;  // its pages in order, just enough for first + tokens;
                                        // -1 where all keys have left the attention window
  // The last `rows` of the tokens need logits. Row i of them is plan.rows[first_row + i].
  int rows = 0;
  int first_row = 0;
  bool samples = false;                   // the last row draws a token; with guesses every row does
  TokenConstraint* constraint = nullptr;  // of the last row; never with guesses
};

// Alternatives (logprobs) of one row.
inline constexpr int kRowAlternativesMax = 64;

// Page `from` is copied to `to`, all layers, before the step.
struct PageCopy {
  std::int32_t from = 0;
  std::int32_t to = 0;
};

// Plain data; spans are valid until commit.
struct StepPlan {
  std::uint64_t step = 0;
  std::vector<PlannedSequence> sequences;
  std::vector<kernels::SampleRow> rows;  // in order of sequences and tokens
  std::vector<PageCopy> copies;          // each `to` once, none of them also a `from`
  int alternatives = 0;                  // of all rows: SampleRow::logprobs
  StepLoad load;

  bool empty() const { return sequences.empty(); }
};

struct StepResult {
  std::vector<base::Status> sequences;      // one per planned sequence; an error ends it alone
  std::vector<kernels::SampleResult> rows;  // one per plan row; of use when its status is kOk
  std::vector<kernels::TopLogprob> top;     // room for what rows point to

  // As StepRunner::run wants it.
  void reset(const StepPlan& plan) {
    sequences.clear();
    sequences.resize(plan.sequences.size());
    rows.clear();
    rows.resize(plan.rows.size());
    top.resize(static_cast<std::size_t>(plan.alternatives));
  }
};

class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // Engine thread. `result` comes reset for the plan. A throw
  // ends all requests and the engine (kEngineUnavailable), not the process.
  virtual void run(const StepPlan& plan, StepResult& result) = 0;
};

}  // namespace vsurge::engine
