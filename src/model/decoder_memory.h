// Where the activations of a step lie in memory.
#pragma once

#include <cstddef>

#include "model/model.h"
#include "model/spec.h"
#include "tensor/tensor.h"

namespace vsurge::model {

// Views into one buffer; float. What the attention half of a layer needs and what its MLP half
// needs share memory.
struct Activations {
  tensor::Tensor residual;  // [tokens, hidden]
  tensor::Tensor cosines;   // [tokens, rotary_dim / 2]
  tensor::Tensor sines;     // [tokens, rotary_dim / 2]
  tensor::Tensor ones;      // [tokens, 1]: cosines and sines of no rotation
  tensor::Tensor zeros;     // [tokens, 1]
  tensor::Tensor qkv;       // [tokens, (heads + 2 kv_heads) head_dim]
  tensor::Tensor attended;  // [tokens, heads head_dim]
  tensor::Tensor gate_up;   // [tokens, 2 intermediate]
  tensor::Tensor last;      // [logit_rows, hidden]
  tensor::Tensor logits;    // [logit_rows, vocabulary]

  // The same for a smaller step.
  Activations head(std::int64_t tokens, std::int64_t logit_rows) const;
};

// Bytes needed for the largest step.
std::size_t activation_bytes(const DecoderSpec& spec, const StepLimits& limits);
// Places them from `base` on, which has activation_bytes().
Activations place_activations(const DecoderSpec& spec, const StepLimits& limits, std::byte* base);

}  // namespace vsurge::model
