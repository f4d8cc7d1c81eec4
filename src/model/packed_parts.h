// The names that a packed file gives to the parts of a decoder's weights.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>

#include "model/weights.h"

namespace vsurge::model {

// Calls matrix(name, tensor::Weight&) and vector(name, std::vector<float>&) for every part, in the
// order of the file; those that are not there are empty.
template <class Weights, class Matrix, class Vector>
void for_each_part(Weights& weights, Matrix&& matrix, Vector&& vector) {
  matrix("embedding", weights.embedding);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    auto& layer = weights.layers[i];
    const std::string at = fmt::format("layers.{}.", i);
    vector(at + "attention_norm", layer.attention_norm);
    matrix(at + "qkv", layer.qkv);
    vector(at + "qkv_bias", layer.qkv_bias);
    vector(at + "q_norm", layer.q_norm);
    vector(at + "k_norm", layer.k_norm);
    matrix(at + "o", layer.o);
    vector(at + "o_bias", layer.o_bias);
    vector(at + "mlp_norm", layer.mlp_norm);
    matrix(at + "gate_up", layer.gate_up);
    vector(at + "gate_up_bias", layer.gate_up_bias);
    matrix(at + "down", layer.down);
    vector(at + "down_bias", layer.down_bias);
  }
  vector("final_norm", weights.final_norm);
  matrix("head", weights.head);
  vector("head_norm", weights.head_norm);
  vector("score", weights.score);
}

}  // namespace vsurge::model
