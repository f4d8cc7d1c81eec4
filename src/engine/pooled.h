// Pooled: what a request for one vector gathers from the hidden states of its prompt.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"

namespace vsurge::engine {

// Engine thread. Each wanted position is added once, in ascending order: the sum is one chain of
// operations however the prompt is cut into steps.
class Pooled {
 public:
  // hidden: width of a state.
  Pooled(const Pooling& pooling, int prompt_tokens, int hidden);

  // All that add() and result() need; may throw for want of memory.
  void reserve();
  // Its state, or what it leads to, is wanted. Positions that are computed already cannot be added:
  // with needs_all() none may be taken from elsewhere.
  bool wants(int position) const;
  bool needs_all() const { return pooling_.states != PooledStates::kLast; }
  // Instead of a state: logits after the last token. See Pooling::logits_of.
  std::span<const TokenId> logits_of() const { return pooling_.logits_of; }

  // state: [hidden], after the final norm.
  void add(int position, std::span<const float> state);
  // [logits_of] in its order.
  void add_logits(std::span<const float> logits);
  // To begin again.
  void clear();
  // All that is wanted was added. States: [hidden]; logits: [logits_of].
  std::vector<float> result() const;

 private:
  std::size_t width() const;

  const Pooling pooling_;
  const int prompt_tokens_;
  const int hidden_;
  std::vector<double> sum_;
  int added_ = 0;
};

}  // namespace vsurge::engine
