// Llama 2 and 3, SmolLM2, TinyLlama, R1-Distill-Llama and many others. In GGUF, Mistral as well.
#include "model/families/family.h"

namespace vsurge::model {

base::Status llama_from_config(const ConfigObject& config, DecoderSpec& spec) {
  const bool bias = VSURGE_TRY(config.boolean("attention_bias")).value_or(false);
  spec.qkv_bias = bias;
  spec.o_bias = bias;
  spec.mlp_bias = VSURGE_TRY(config.boolean("mlp_bias")).value_or(false);
  return {};
}

base::Status llama_from_gguf(const Checkpoint& checkpoint, DecoderSpec& spec) {
  const GgufFile& file = *checkpoint.gguf();
  find_gguf_biases(checkpoint, spec);
  spec.qk_rows_interleaved = true;
  const auto window =
      VSURGE_TRY(file.integer("llama.attention.sliding_window", {.min = 0, .max = 1 << 30}));
  for (LayerSpec& layer : spec.layers) layer.window = static_cast<int>(window.value_or(0));
  return {};
}

}  // namespace vsurge::model
