// What a family of models is to the reader of checkpoints, and what the families share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/spec.h"

namespace vsurge::model {

// A row of families.cc. The functions get a spec with the shared fields read already
// (read_shared_config, read_shared_gguf) and change what is different.
struct Family {
  std::string_view model_type;    // of config.json; the family's name
  std::string_view architecture;  // of config.json: "LlamaForCausalLM"
  std::string_view gguf;          // general.architecture; empty when GGUF has no name of its own
  int head_dim = 0;               // where config.json has none; 0 = hidden / heads
  base::Status (*from_config)(const ConfigObject& config, DecoderSpec& spec);
  base::Status (*from_gguf)(const Checkpoint& checkpoint, DecoderSpec& spec);
};

// Sizes, norm, RoPE, head and the names that nearly every family has (models of Hugging Face).
base::Status read_shared_config(const ConfigObject& config, int head_dim_default,
                                DecoderSpec& spec);
// The same of GGUF metadata, whose keys begin with "<architecture>.".
base::Status read_shared_gguf(const Checkpoint& checkpoint, std::string_view architecture,
                              DecoderSpec& spec);

// rope_parameters, or rope_scaling and rope_theta; needs head_dim. Sets rope and context_max.
base::Status read_rope_config(const ConfigObject& config, DecoderSpec& spec);
base::Status read_rope_gguf(const Checkpoint& checkpoint, const std::string& prefix,
                            DecoderSpec& spec);

// use_sliding_window with sliding_window, max_window_layers or layer_types (Qwen).
base::Status read_layer_windows(const ConfigObject& config, DecoderSpec& spec);

// Keys of GGUF that change a model and that nobody reads: refused unless neutral. Needs the rest.
base::Status check_unread_gguf_keys(const GgufFile& file, std::string_view architecture,
                                    const DecoderSpec& spec);
// For families whose files say a window without saying which layers have it.
base::Status refuse_gguf_window(const Checkpoint& checkpoint, const std::string& key,
                                const DecoderSpec& spec);

// GGUF has no keys for biases: they are there or not. Looks at the first layer.
void find_gguf_biases(const Checkpoint& checkpoint, DecoderSpec& spec);

base::Status llama_from_config(const ConfigObject& config, DecoderSpec& spec);
base::Status llama_from_gguf(const Checkpoint& checkpoint, DecoderSpec& spec);
base::Status mistral_from_config(const ConfigObject& config, DecoderSpec& spec);
base::Status qwen2_from_config(const ConfigObject& config, DecoderSpec& spec);
base::Status qwen2_from_gguf(const Checkpoint& checkpoint, DecoderSpec& spec);
base::Status qwen3_from_config(const ConfigObject& config, DecoderSpec& spec);
base::Status qwen3_from_gguf(const Checkpoint& checkpoint, DecoderSpec& spec);

}  // namespace vsurge::model
