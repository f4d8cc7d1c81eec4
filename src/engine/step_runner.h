// StepRunner: what runs a plan. Real: Executor. In simulation: an oracle that checks it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/pooled.h"
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
  // Nothing is drawn: gets the states of the tokens that it wants, or, of the one row there is
  // then, the logits.
  Pooled* pooled = nullptr;
};

// Alternatives (logprobs) of one row: the likeliest, candidates of beams, or tokens by name.
inline constexpr int kBeamCandidatesMax = 64;
inline constexpr int kRowAlternativesMax =
    std::max(kBeamCandidatesMax, static_cast<int>(kLogprobTokenIdsMax));

// What decides a row of logits.
struct PlannedRow {
  const kernels::SampleRow* sampling = nullptr;  // the sequence's; but for what follows
  std::uint64_t position = 0;
  std::int32_t scored_token = -1;
  std::int32_t logprobs = -1;

  kernels::SampleRow sample_row() const {
    kernels::SampleRow row = *sampling;
    row.position = position;
    row.scored_token = scored_token;
    row.logprobs = logprobs;
    if (scored_token >= 0) {  // the prompt is as it is
      row.edits_count = row.step_edits_count = 0;
      row.allowed_tokens = nullptr;
      row.told_tokens = nullptr;
    }
    return row;
  }
};

// Page `from` is copied to `to`, all layers, before the step.
struct PageCopy {
  std::int32_t from = 0;
  std::int32_t to = 0;
};

// Plain data; spans are valid until commit.
struct StepPlan {
  std::uint64_t step = 0;
  std::vector<PlannedSequence> sequences;
  std::vector<PlannedRow> rows;  // in order of sequences and tokens
  std::vector<PageCopy> copies;  // each `to` once, none of them also a `from`
  int alternatives = 0;          // of all rows: PlannedRow::logprobs
  StepLoad load;

  bool empty() const { return sequences.empty(); }
};

// nullptr when all is well: a step has thousands of them.
using Fault = std::unique_ptr<base::Error>;

inline Fault fault_of(base::Status status) {
  return status ? nullptr : std::make_unique<base::Error>(std::move(status).error());
}

struct StepResult {
  std::vector<Fault> sequences;             // one per planned sequence; an error ends it alone
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
