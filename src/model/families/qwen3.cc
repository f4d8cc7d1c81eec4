// Qwen3 (dense): a norm over each head of q and k, and a head_dim apart from hidden / heads.
#include "model/families/family.h"

namespace vsurge::model {

base::Status qwen3_from_config(const ConfigObject& config, DecoderSpec& spec) {
  spec.qk_norm = true;
  const bool bias = VSURGE_TRY(config.boolean("attention_bias")).value_or(false);
  spec.qkv_bias = bias;
  spec.o_bias = bias;
  return read_layer_windows(config, spec);
}

base::Status qwen3_from_gguf(const Checkpoint& checkpoint, DecoderSpec& spec) {
  spec.qk_norm = true;
  find_gguf_biases(checkpoint, spec);
  return refuse_gguf_window(checkpoint, "qwen3.attention.sliding_window", spec);
}

}  // namespace vsurge::model
