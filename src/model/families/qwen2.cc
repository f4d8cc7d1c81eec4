// Qwen2, Qwen2.5, QwQ, R1-Distill-Qwen: biases of q, k and v.
#include "model/families/family.h"

namespace vsurge::model {

base::Status qwen2_from_config(const ConfigObject& config, DecoderSpec& spec) {
  spec.qkv_bias = true;
  return read_layer_windows(config, spec);
}

base::Status qwen2_from_gguf(const Checkpoint& checkpoint, DecoderSpec& spec) {
  spec.qkv_bias = true;
  return refuse_gguf_window(checkpoint, "qwen2.attention.sliding_window", spec);
}

}  // namespace vsurge::model
