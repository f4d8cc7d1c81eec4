#include "engine/pooled.h"

#include <algorithm>

namespace vsurge::engine {

Pooled::Pooled(const Pooling& pooling, int prompt_tokens, int hidden)
    : pooling_(pooling), prompt_tokens_(prompt_tokens), hidden_(hidden) {}

std::size_t Pooled::width() const {
  return pooling_.logits_of.empty() ? static_cast<std::size_t>(hidden_) : pooling_.logits_of.size();
}

void Pooled::reserve() {
  sum_.assign(width(), 0.0);
}

bool Pooled::wants(int position) const {
  switch (pooling_.states) {
    case PooledStates::kLast:
      return position == prompt_tokens_ - 1;
    case PooledStates::kFirst:
      return position == 0;
    case PooledStates::kMean:
      return true;
  }
  return false;
}

void Pooled::add(int position, std::span<const float> state) {
  CHECK(wants(position) && state.size() == sum_.size());
  CHECK(added_ == (pooling_.states == PooledStates::kMean ? position : 0));
  for (std::size_t i = 0; i < state.size(); ++i) sum_[i] += state[i];
  ++added_;
}

void Pooled::add_logits(std::span<const float> logits) {
  CHECK(logits.size() == sum_.size() && added_ == 0);
  std::ranges::copy(logits, sum_.begin());
  ++added_;
}

void Pooled::clear() {
  std::ranges::fill(sum_, 0.0);
  added_ = 0;
}

std::vector<float> Pooled::result() const {
  CHECK(added_ == (pooling_.states == PooledStates::kMean ? prompt_tokens_ : 1));
  std::vector<float> out(sum_.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(sum_[i] / static_cast<double>(added_));
  }
  return out;
}

}  // namespace vsurge::engine
