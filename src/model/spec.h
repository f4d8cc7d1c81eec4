// DecoderSpec: everything in which one decoder-only model differs from another, as plain data.
//
// A family (families/<name>.cc) fills it from config.json or GGUF metadata; the one decoder reads
// it. Every field here is obeyed by the decoder: a knob it does not know has no field, and a
// checkpoint that needs such a knob is refused by its family.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/types.h"
#include "model/pooling.h"
#include "model/rope.h"

namespace vsurge::model {

struct LayerSpec {
  int window = 0;    // keys a query sees, itself included; 0 = all before it
  bool rope = true;  // false: queries and keys are not rotated
};

// What a checkpoint calls its tensors: without ".weight" / ".bias", "{}" is the layer's number.
// Several names are stacked by rows in this order: {q, k, v} are three tensors, {qkv} is one that
// is stacked already.
struct TensorNames {
  std::string embedding;
  std::string final_norm;
  std::string head;
  std::string score;  // of a classifier
  std::string attention_norm;
  std::vector<std::string> qkv;
  std::string q_norm;
  std::string k_norm;
  std::string o;
  std::string mlp_norm;
  std::vector<std::string> gate_up;
  std::string down;
};

// What generation_config.json (or GGUF metadata) says about sampling and ending.
struct GenerationDefaults {
  std::optional<std::int32_t> bos_token;
  std::vector<std::int32_t> eos_tokens;     // ascending, each once, all below `vocabulary`
  std::optional<float> temperature;         // 0 to 100
  std::optional<float> top_p;               // above 0, up to 1
  std::optional<int> top_k;                 // at least 0
  std::optional<float> min_p;               // 0 to 1
  std::optional<float> repetition_penalty;  // above 0, up to 10
  std::optional<int> max_new_tokens;        // at least 1
};

// Sizes are positive, validated and small enough that their products fit 62 bits.
struct DecoderSpec {
  std::string family;  // model_type: "llama", "qwen3", ...
  int vocabulary = 0;
  int hidden = 0;
  int intermediate = 0;  // width of gate, and of up
  int heads = 0;
  int kv_heads = 0;  // divides heads
  int head_dim = 0;
  int context_max = 0;  // positions; with scaling where the scaling of RoPE says so

  float norm_eps = 1e-6f;  // of every RMS norm
  kernels::Activation activation = kernels::Activation::kSilu;
  float query_scale = 1;        // of q.k
  float attention_softcap = 0;  // 0 = none
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;  // gate, up and down
  bool qk_norm = false;   // RMS per head, weight [head_dim], before the rotation
  bool tied_head = false;

  RopeConfig rope;
  bool rope_interleaved = false;  // pairs (2i, 2i + 1); false: (i, i + rotary_dim / 2)
  // The checkpoint holds q and k rows interleaved though the family pairs halves (GGUF "llama");
  // load_weights() puts them back, so that the decoder need not know.
  bool qk_rows_interleaved = false;

  std::vector<LayerSpec> layers;  // one per layer
  TensorNames names;
  // Names of tensors that hold nothing to compute with; "*" stands for anything.
  std::vector<std::string> ignored_tensors;
  GenerationDefaults generation;
  PoolingSpec pooling;
};

}  // namespace vsurge::model
