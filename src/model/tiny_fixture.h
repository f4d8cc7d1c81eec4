// A checkpoint of two layers with random weights, for tests of loading.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "model/load_rows.h"
#include "model/test_files.h"

namespace vsurge::model::testing {

inline constexpr int kHidden = 64, kIntermediate = 96, kVocabulary = 40, kHeadDim = 16;

inline constexpr const char* kConfig = R"("num_attention_heads": 4, "num_key_value_heads": 2,
  "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 40,
  "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "head_dim": 16})";

inline TestTensors tiny_tensors(bool biases = false, bool qk_norm = false, bool tied = true,
                                unsigned seed = 7) {
  std::mt19937 random(seed);
  TestTensors all;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    all[name] = random_tensor(std::move(shape), random);
  };
  add("model.embed_tokens.weight", {kVocabulary, kHidden});
  add("model.norm.weight", {kHidden});
  if (!tied) add("lm_head.weight", {kVocabulary, kHidden});
  for (int i = 0; i < 2; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    add(layer + "input_layernorm.weight", {kHidden});
    add(layer + "post_attention_layernorm.weight", {kHidden});
    for (const auto& [name, rows] : {std::pair{"q", 64}, std::pair{"k", 32}, std::pair{"v", 32}}) {
      add(layer + "self_attn." + name + "_proj.weight", {rows, kHidden});
      if (biases) add(layer + "self_attn." + name + "_proj.bias", {rows});
    }
    if (qk_norm) add(layer + "self_attn.q_norm.weight", {kHeadDim});
    if (qk_norm) add(layer + "self_attn.k_norm.weight", {kHeadDim});
    add(layer + "self_attn.o_proj.weight", {kHidden, 64});
    add(layer + "mlp.gate_proj.weight", {kIntermediate, kHidden});
    add(layer + "mlp.up_proj.weight", {kIntermediate, kHidden});
    add(layer + "mlp.down_proj.weight", {kHidden, kIntermediate});
  }
  return all;
}

inline std::string config_of(const std::string& type, const std::string& name, bool tied = true) {
  return fmt::format(
      R"({{"model_type": "{}", "architectures": ["{}"], "tie_word_embeddings": {}, {})", type, name,
      tied, kConfig);
}

// Row `row` of a matrix.
inline std::vector<float> row_of(const TestTensor& tensor, std::int64_t row) {
  const auto cols = static_cast<std::ptrdiff_t>(tensor.shape[1]);
  const auto begin = tensor.values.begin() + row * cols;
  return {begin, begin + cols};
}

// The same numbers as a GGUF of architecture llama, q and k rows in the order of the converter.
inline GgufWriter as_gguf(const TestTensors& tensors, const std::string& architecture) {
  GgufWriter writer;
  const std::string prefix = architecture + ".";
  writer.text("general.architecture", architecture);
  writer.u32(prefix + "block_count", 2).u32(prefix + "context_length", 128);
  writer.u32(prefix + "embedding_length", kHidden).u32(prefix + "attention.head_count", 4);
  writer.u32(prefix + "feed_forward_length", kIntermediate);
  writer.u32(prefix + "attention.head_count_kv", 2);
  writer.u32(prefix + "attention.key_length", kHeadDim);
  writer.f32(prefix + "attention.layer_norm_rms_epsilon", 1e-5f);
  writer.u32("tokenizer.ggml.eos_token_id", 2).u32("tokenizer.ggml.eot_token_id", 5);
  const auto add = [&](const std::string& name, const TestTensor& tensor, bool permute) {
    std::vector<float> values = tensor.values;
    const std::int64_t cols = tensor.shape.back();
    for (std::int64_t row = 0; permute && row < tensor.shape[0]; ++row) {
      const auto from = row_of(tensor, row);
      std::ranges::copy(from, values.begin() + interleaved_row(row, kHeadDim) * cols);
    }
    writer.tensor(name, tensor.shape, 0, raw_floats(values));
  };
  const std::vector<std::pair<std::string, std::string>> names = {
      {"input_layernorm", "attn_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"self_attn.q_proj", "attn_q"},   {"self_attn.k_proj", "attn_k"},
      {"self_attn.v_proj", "attn_v"},   {"self_attn.o_proj", "attn_output"},
      {"mlp.gate_proj", "ffn_gate"},    {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  add("token_embd.weight", tensors.at("model.embed_tokens.weight"), false);
  add("output_norm.weight", tensors.at("model.norm.weight"), false);
  for (const std::string& layer : {std::string("0."), std::string("1.")}) {
    for (const auto& [from, to] : names) {
      const bool permute =
          architecture == "llama" && (from == "self_attn.q_proj" || from == "self_attn.k_proj");
      add(fmt::format("blk.{}{}.weight", layer, to),
          tensors.at(fmt::format("model.layers.{}{}.weight", layer, from)), permute);
    }
  }
  return writer;
}

}  // namespace vsurge::model::testing
