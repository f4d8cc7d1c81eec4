// SamplerState: what sampling must remember of one sequence, and the edits of logits that follow
// from it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/options.h"
#include "engine/request.h"

namespace vsurge::engine {

// Engine thread. It depends on the accepted tokens alone, so that preemption, batching and chunking
// cannot change it.
class SamplerState {
 public:
  // nullptr when the parameters need no state: no penalties, bias, bans, DRY or thinking budget.
  // They must have passed check_request.
  static std::unique_ptr<SamplerState> make(const SamplingParams& sampling,
                                            std::span<const TokenId> prompt,
                                            const EngineOptions& options);

  // Sets edits, step_edits and allowed_tokens of `row` for the token that follows `history` (prompt
  // and accepted tokens). The pointers are valid until the next call of prepare or accept.
  void prepare(std::span<const TokenId> history, kernels::SampleRow& row);
  // One more token of the answer.
  void accept(TokenId token);
};

}  // namespace vsurge::engine
