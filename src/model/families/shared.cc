// What is the same in most families: sizes, norm, activation, head, names.
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "model/families/family.h"

namespace vsurge::model {
namespace {

using base::Result;

// Sides of real models are far below; products of two of these fit an int, of three an int64.
constexpr IntegerRange kWidth = {.min = 8, .max = 1 << 20};
constexpr IntegerRange kHeads = {.min = 1, .max = 1 << 14};
constexpr IntegerRange kVocabulary = {.min = 1, .max = 1 << 24};
constexpr IntegerRange kLayers = {
    .min = 1, .max = static_cast<std::int64_t>(base::CheckpointLimits{}.layers_max)};
constexpr NumberRange kEps = {.min = 1e-12, .max = 0.1};
constexpr std::int64_t kHeadDimMax = 256;  // what the attention kernels do

// The reader and its way to name keys: ConfigObject, or GgufFile with a prefix.
template <class Reader>
Result<int> size(const Reader& reader, std::string_view key, IntegerRange range) {
  return static_cast<int>(VSURGE_TRY(required(reader, key, reader.integer(key, range))));
}

struct HeadKeys {
  std::string hidden;
  std::string heads;
  std::string kv_heads;
  std::string head_dim;
};

// hidden, heads, kv_heads and head_dim, each a multiple of what it must be.
template <class Reader>
base::Status read_heads(const Reader& reader, const HeadKeys& keys, int head_dim_default,
                        DecoderSpec& spec) {
  spec.hidden = VSURGE_TRY(size(reader, keys.hidden, kWidth));
  if (spec.hidden % 2 != 0) return reader.wrong(keys.hidden, "an even number");
  spec.heads = VSURGE_TRY(size(reader, keys.heads, kHeads));
  spec.kv_heads =
      static_cast<int>(VSURGE_TRY(reader.integer(keys.kv_heads, {.min = 1, .max = spec.heads}))
                           .value_or(spec.heads));
  if (spec.heads % spec.kv_heads != 0) {
    return reader.wrong(keys.kv_heads, fmt::format("a divisor of {} ({})", keys.heads, spec.heads));
  }
  const auto head_dim = VSURGE_TRY(reader.integer(keys.head_dim, {.min = 8, .max = kHeadDimMax}));
  if (!head_dim && head_dim_default == 0 && spec.hidden % spec.heads != 0) {
    return reader.wrong(keys.heads, fmt::format("a divisor of {} ({})", keys.hidden, spec.hidden));
  }
  spec.head_dim = head_dim               ? static_cast<int>(*head_dim)
                  : head_dim_default > 0 ? head_dim_default
                                         : spec.hidden / spec.heads;
  if (spec.head_dim % 8 != 0 || spec.head_dim > kHeadDimMax) {
    return reader.wrong(
        head_dim ? keys.head_dim : keys.heads,
        fmt::format("a head of a multiple of 8 up to {} ({})", kHeadDimMax, spec.head_dim));
  }
  spec.query_scale = 1.0f / std::sqrt(static_cast<float>(spec.head_dim));
  return {};
}

Result<kernels::Activation> activation(const ConfigObject& config) {
  const auto name = VSURGE_TRY(config.text("hidden_act")).value_or("silu");
  constexpr std::array<std::pair<std::string_view, kernels::Activation>, 5> kNames = {
      {{"silu", kernels::Activation::kSilu},
       {"swish", kernels::Activation::kSilu},
       {"gelu", kernels::Activation::kGelu},
       {"gelu_new", kernels::Activation::kGeluTanh},
       {"gelu_pytorch_tanh", kernels::Activation::kGeluTanh}}};
  std::vector<std::string_view> known;
  for (const auto& [known_name, kind] : kNames) {
    if (known_name == name) return kind;
    known.push_back(known_name);
  }
  return config.wrong("hidden_act", fmt::format("one of {}", fmt::join(known, ", ")));
}

TensorNames config_names() {
  const std::string layer = "model.layers.{}.", attention = layer + "self_attn.";
  return {.embedding = "model.embed_tokens",
          .final_norm = "model.norm",
          .head = "lm_head",
          .score = "score",
          .attention_norm = layer + "input_layernorm",
          .qkv = {attention + "q_proj", attention + "k_proj", attention + "v_proj"},
          .q_norm = attention + "q_norm",
          .k_norm = attention + "k_norm",
          .o = attention + "o_proj",
          .mlp_norm = layer + "post_attention_layernorm",
          .gate_up = {layer + "mlp.gate_proj", layer + "mlp.up_proj"},
          .down = layer + "mlp.down_proj"};
}

TensorNames gguf_names() {
  const std::string layer = "blk.{}.";
  return {.embedding = "token_embd",
          .final_norm = "output_norm",
          .head = "output",
          .score = {},
          .attention_norm = layer + "attn_norm",
          .qkv = {layer + "attn_q", layer + "attn_k", layer + "attn_v"},
          .q_norm = layer + "attn_q_norm",
          .k_norm = layer + "attn_k_norm",
          .o = layer + "attn_output",
          .mlp_norm = layer + "ffn_norm",
          .gate_up = {layer + "ffn_gate", layer + "ffn_up"},
          .down = layer + "ffn_down"};
}

}  // namespace

base::Status read_shared_config(const ConfigObject& config, int head_dim_default,
                                DecoderSpec& spec) {
  if (config.has("quantization_config")) {
    return config.wrong("quantization_config", "nothing (weights in F32, F16 or BF16)");
  }
  VSURGE_TRY(read_heads(config,
                        {"hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim"},
                        head_dim_default, spec));
  spec.vocabulary = VSURGE_TRY(size(config, "vocab_size", kVocabulary));
  spec.intermediate = VSURGE_TRY(size(config, "intermediate_size", kWidth));
  if (spec.intermediate % 2 != 0) return config.wrong("intermediate_size", "an even number");
  spec.layers.resize(
      static_cast<std::size_t>(VSURGE_TRY(size(config, "num_hidden_layers", kLayers))));
  spec.norm_eps =
      static_cast<float>(VSURGE_TRY(config.number("rms_norm_eps", kEps)).value_or(1e-6));
  spec.activation = VSURGE_TRY(activation(config));
  spec.tied_head = VSURGE_TRY(config.boolean("tie_word_embeddings")).value_or(false);
  spec.names = config_names();
  // Buffers of old versions of transformers, computed here from the config; a tied head that was
  // saved all the same is the embedding.
  spec.ignored_tensors = {"*.rotary_emb.inv_freq"};
  if (spec.tied_head) spec.ignored_tensors.push_back("lm_head.weight");
  return read_rope_config(config, spec);
}

base::Status read_shared_gguf(const Checkpoint& checkpoint, std::string_view architecture,
                              DecoderSpec& spec) {
  const GgufFile& file = *checkpoint.gguf();
  const std::string prefix = std::string(architecture) + ".";
  VSURGE_TRY(read_heads(file,
                        {prefix + "embedding_length", prefix + "attention.head_count",
                         prefix + "attention.head_count_kv", prefix + "attention.key_length"},
                        0, spec));
  const std::string value_key = prefix + "attention.value_length";
  const auto value_dim = VSURGE_TRY(file.integer(value_key, {.min = 1, .max = kHeadDimMax}));
  if (value_dim.value_or(spec.head_dim) != spec.head_dim) {
    return file.wrong(value_key, fmt::format("the key's length {}", spec.head_dim));
  }
  const std::string width_key = prefix + "feed_forward_length";
  spec.intermediate = VSURGE_TRY(size(file, width_key, kWidth));
  if (spec.intermediate % 2 != 0) return file.wrong(width_key, "an even number");
  spec.layers.resize(
      static_cast<std::size_t>(VSURGE_TRY(size(file, prefix + "block_count", kLayers))));
  const std::string eps_key = prefix + "attention.layer_norm_rms_epsilon";
  spec.norm_eps =
      static_cast<float>(VSURGE_TRY(required(file, eps_key, file.number(eps_key, kEps))));
  spec.names = gguf_names();
  spec.tied_head = checkpoint.find(spec.names.head + ".weight") == nullptr;
  // The width of the vocabulary is that of the embedding; the key is there in some files only.
  const TensorInfo* embedding = checkpoint.find(spec.names.embedding + ".weight");
  if (embedding == nullptr || embedding->shape.size() != 2 ||
      embedding->shape[0] > kVocabulary.max) {
    return base::fail(base::ErrorCode::kBadModel,
                      "{}: tensor {}.weight: expected [1 to {}, {}], found {}", file.name(),
                      spec.names.embedding, kVocabulary.max, spec.hidden,
                      embedding == nullptr ? "none" : shape_text(embedding->shape));
  }
  spec.vocabulary = static_cast<int>(embedding->shape[0]);
  const auto claimed = VSURGE_TRY(file.integer(prefix + "vocab_size", kVocabulary));
  if (claimed.value_or(spec.vocabulary) != spec.vocabulary) {
    return file.wrong(prefix + "vocab_size",
                      fmt::format("the embedding's rows {}", spec.vocabulary));
  }
  return read_rope_gguf(checkpoint, prefix, spec);
}

namespace {

// Which layers slide, as layer_types says.
base::Status apply_layer_types(const ConfigObject& config, const std::vector<std::string>& types,
                               int window, DecoderSpec& spec) {
  if (types.size() != spec.layers.size()) {
    return config.wrong("layer_types",
                        fmt::format("one for each of {} layers", spec.layers.size()));
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    const bool sliding = types[i] == "sliding_attention";
    if (!sliding && types[i] != "full_attention") {
      return config.wrong("layer_types", "full_attention or sliding_attention");
    }
    if (sliding && window == 0) {
      return config.wrong("sliding_window", "a window, as layer_types has sliding layers");
    }
    spec.layers[i].window = sliding ? window : 0;
  }
  return {};
}

}  // namespace

base::Status read_layer_windows(const ConfigObject& config, DecoderSpec& spec) {
  constexpr int kWindowDefault = 4096, kFullLayersDefault = 28;  // Qwen2Config's
  const bool used = VSURGE_TRY(config.boolean("use_sliding_window")).value_or(false);
  const auto set = VSURGE_TRY(config.integer("sliding_window", {.min = 1, .max = 1 << 30}));
  const int missing = config.null("sliding_window") ? 0 : kWindowDefault;
  const int window = !used ? 0 : set ? static_cast<int>(*set) : missing;
  const auto full = VSURGE_TRY(config.integer("max_window_layers", {.min = 0, .max = 1 << 30}))
                        .value_or(kFullLayersDefault);
  if (config.has("layer_types")) {
    const auto types = VSURGE_TRY(required(config, "layer_types", config.texts("layer_types")));
    return apply_layer_types(config, types, window, spec);
  }
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    spec.layers[i].window = static_cast<std::int64_t>(i) >= full ? window : 0;
  }
  return {};
}

void find_gguf_biases(const Checkpoint& checkpoint, DecoderSpec& spec) {
  const auto has = [&](const char* name) { return checkpoint.find(name) != nullptr; };
  spec.qkv_bias = has("blk.0.attn_q.bias");
  spec.o_bias = has("blk.0.attn_output.bias");
  spec.mlp_bias = has("blk.0.ffn_down.bias");
}

}  // namespace vsurge::model
