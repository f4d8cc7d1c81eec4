// Qwen2, Qwen2.5, QwQ, R1-Distill-Qwen: biases of q, k and v.
#include "model/families/family.h"

namespace vsurge::model {

base::Status qwen2_from_config(const ConfigObject& config, DecoderSpec& spec) {
  spec.qkv_bias = true;
  return read_layer_windows(config, spec);
}

base::Status qwen2_from_gguf(const Checkpoint&, DecoderSpec& spec) {
  spec.qkv_bias = true;
  return {};
}

}  // namespace vsurge::model
