// DecoderWeights: the weights of a decoder, packed for one backend; and the steps that make them:
// open_checkpoint(), read_spec(), load_weights().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "model/spec.h"
#include "tensor/backend.h"
#include "tensor/weight.h"

namespace vsurge::model {

// Vectors that the spec does not ask for are empty. Weights are [outputs, inputs].
struct LayerWeights {
  std::vector<float> attention_norm;  // [hidden]
  tensor::Weight qkv;                 // [(heads + 2 kv_heads) head_dim, hidden]: q, then k, then v
  std::vector<float> qkv_bias;        // [(heads + 2 kv_heads) head_dim]
  std::vector<float> q_norm;          // [head_dim]
  std::vector<float> k_norm;          // [head_dim]
  tensor::Weight o;                   // [hidden, heads head_dim]
  std::vector<float> o_bias;          // [hidden]
  std::vector<float> mlp_norm;        // [hidden]
  tensor::Weight gate_up;             // [2 intermediate, hidden]: gate, then up
  std::vector<float> gate_up_bias;    // [2 intermediate]
  tensor::Weight down;                // [hidden, intermediate]
  std::vector<float> down_bias;       // [hidden]
};

// An owner; movable only.
struct DecoderWeights {
  base::MappedFile mapping;  // what the matrices view when they come from a packed folder
  tensor::Weight embedding;  // [vocabulary, hidden]
  std::vector<LayerWeights> layers;
  std::vector<float> final_norm;  // [hidden]
  tensor::Weight head;            // [vocabulary, hidden]; no rows when tied: see output(); or none
  std::vector<float> head_norm;   // [hidden] final_norm as a balanced head wants it; or none
  std::vector<float> score;       // [labels, hidden] of a classifier

  std::int64_t parameters = 0;  // of the checkpoint, a tied head counted once
  std::int64_t bytes = 0;       // packed, everything
  std::string format;           // of the layers' matrices, for people: "int4 g32 with minimum"

  // The matrix that makes logits.
  const tensor::Weight& output() const { return head.rows > 0 ? head : embedding; }
  // And the weight of the norm before it.
  const std::vector<float>& output_norm() const {
    return head_norm.empty() ? final_norm : head_norm;
  }
};

// The spec of a checkpoint. kBadModel when its family is not known (naming those that are) or its
// numbers make no sense.
base::Result<DecoderSpec> read_spec(const Checkpoint& checkpoint);

// Reads, checks and packs every tensor; gives the pages of the file back as it goes, so that peak
// memory stays near the packed size. A missing tensor, one of a wrong shape, and one that nothing
// reads are kBadModel, named. `spec` comes from read_spec() of the same checkpoint, which is not
// packed already.
base::Result<DecoderWeights> load_weights(const Checkpoint& checkpoint, const DecoderSpec& spec,
                                          tensor::Backend& backend, const LoadOptions& options);

// "int8 g32", "int4 g32 with minimum", "bfloat16", "float32".
std::string format_name(kernels::WeightFormat format);

}  // namespace vsurge::model
