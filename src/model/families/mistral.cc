// Mistral 7B, Nemo, Small (text). GGUF calls it "llama".
#include "model/families/family.h"

namespace vsurge::model {
namespace {

constexpr int kWindowDefault = 4096;  // MistralConfig's; null is no window

}  // namespace

base::Status mistral_from_config(const ConfigObject& config, DecoderSpec& spec) {
  if (config.has("layer_types")) {
    return config.wrong("layer_types", "nothing (Mistral's layers are alike)");
  }
  const auto set = VSURGE_TRY(config.integer("sliding_window", {.min = 1, .max = 1 << 30}));
  const int missing = config.null("sliding_window") ? 0 : kWindowDefault;
  const int window = set ? static_cast<int>(*set) : missing;
  for (LayerSpec& layer : spec.layers) layer.window = window;
  return {};
}

}  // namespace vsurge::model
