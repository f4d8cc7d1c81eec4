#include "model/decoder_memory.h"

#include <algorithm>

namespace vsurge::model {
namespace {

using tensor::Tensor;

constexpr std::size_t kAlignment = 64;

// Hands out matrices one after another. With a null base it only counts.
class Arena {
 public:
  explicit Arena(std::byte* base) : base_(base) {}

  Tensor matrix(std::int64_t rows, std::int64_t cols) {
    std::byte* data = base_ == nullptr ? nullptr : base_ + used_;
    const auto bytes = static_cast<std::size_t>(rows * cols) * sizeof(float);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return Tensor::view(data, tensor::DType::kF32, rows, cols);
  }
  std::size_t used() const { return used_; }
  // Goes back to a place told by used(): what follows shares memory with what was handed out since.
  void rewind(std::size_t used) { used_ = used; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

Activations place(const DecoderSpec& spec, const StepLimits& limits, Arena& arena) {
  const std::int64_t tokens = limits.tokens_max, rows = limits.logit_rows_max;
  const std::int64_t query = std::int64_t{spec.heads} * spec.head_dim;
  const std::int64_t key = std::int64_t{spec.kv_heads} * spec.head_dim;
  Activations a;
  a.residual = arena.matrix(tokens, spec.hidden);
  a.cosines = arena.matrix(tokens, spec.rope.rotary_dim / 2);
  a.sines = arena.matrix(tokens, spec.rope.rotary_dim / 2);
  a.ones = arena.matrix(tokens, 1);
  a.zeros = arena.matrix(tokens, 1);
  const std::size_t shared = arena.used();
  a.qkv = arena.matrix(tokens, query + 2 * key);
  a.attended = arena.matrix(tokens, query);
  const std::size_t attention_end = arena.used();
  arena.rewind(shared);
  a.gate_up = arena.matrix(tokens, 2 * std::int64_t{spec.intermediate});
  arena.rewind(std::max(arena.used(), attention_end));
  a.last = arena.matrix(rows, spec.hidden);
  a.logits = arena.matrix(rows, spec.vocabulary);
  return a;
}

}  // namespace

Activations Activations::head(std::int64_t tokens, std::int64_t logit_rows) const {
  return {.residual = residual.head(tokens),
          .cosines = cosines.head(tokens),
          .sines = sines.head(tokens),
          .ones = ones.head(tokens),
          .zeros = zeros.head(tokens),
          .qkv = qkv.head(tokens),
          .attended = attended.head(tokens),
          .gate_up = gate_up.head(tokens),
          .last = last.head(logit_rows),
          .logits = logits.head(logit_rows)};
}

std::size_t activation_bytes(const DecoderSpec& spec, const StepLimits& limits) {
  Arena counter(nullptr);
  place(spec, limits, counter);
  return counter.used();
}

Activations place_activations(const DecoderSpec& spec, const StepLimits& limits, std::byte* base) {
  Arena arena(base);
  return place(spec, limits, arena);
}

}  // namespace vsurge::model
