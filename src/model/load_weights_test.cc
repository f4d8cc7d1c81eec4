#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <string>
#include <tuple>

#include "base/test_data.h"
#include "model/load_rows.h"
#include "model/tiny_fixture.h"
#include "model/weights.h"

namespace vsurge::model {
namespace {

using kernels::WeightFormat;
using kernels::WeightKind;
using testing::config_of;
using ::testing::HasSubstr;
using testing::kHidden;
using testing::kIntermediate;
using testing::kVocabulary;
using testing::row_of;
using testing::TempFolder;
using testing::TestTensors;
using testing::tiny_tensors;

tensor::Backend& backend() {
  static auto made = tensor::make_cpu_backend({.threads = 2, .isa = "scalar"});
  CHECK(made.has_value());
  return **made;
}

base::Result<DecoderWeights> load(const std::filesystem::path& path, WeightChoice choice,
                                  std::vector<std::int64_t>* progress = nullptr) {
  const auto checkpoint = VSURGE_TRY(open_checkpoint(path));
  const DecoderSpec spec = VSURGE_TRY(read_spec(*checkpoint));
  LoadOptions options;
  options.weights = choice;
  if (progress != nullptr) {
    options.progress = [&](std::int64_t done, std::int64_t total) {
      EXPECT_LE(done, total);
      progress->push_back(done);
    };
  }
  return load_weights(*checkpoint, spec, backend(), options);
}

base::Result<DecoderWeights> load_folder(const TestTensors& tensors, const std::string& config,
                                         WeightChoice choice = WeightChoice::kF32) {
  const TempFolder folder;
  folder.write("config.json", config);
  folder.write("model.safetensors", testing::safetensors_of(tensors));
  return load(folder.path(), choice);
}

// Row `row` of a packed float matrix.
std::vector<float> unpacked(const tensor::Weight& weight, std::int64_t row) {
  EXPECT_EQ(weight.format.kind, WeightKind::kF32);
  const auto* values = reinterpret_cast<const float*>(weight.values.data());
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(weight.cols));
  for (std::int64_t k = 0; k < weight.cols; ++k) {
    out.push_back(values[(row / 16 * weight.cols + k) * 16 + row % 16]);
  }
  return out;
}

TEST(LoadWeights, PutsEveryTensorInItsPlace) {
  const TestTensors tensors = tiny_tensors(true, false, false);
  const auto weights =
      load_folder(tensors, config_of("qwen2", "Qwen2ForCausalLM", false), WeightChoice::kF32);
  ASSERT_TRUE(weights) << weights.error().message;
  const std::string at = "model.layers.1.";
  const LayerWeights& layer = weights->layers.at(1);
  EXPECT_EQ(layer.attention_norm, tensors.at(at + "input_layernorm.weight").values);
  EXPECT_EQ(layer.mlp_norm, tensors.at(at + "post_attention_layernorm.weight").values);
  ASSERT_EQ(layer.qkv.rows, 128);
  EXPECT_EQ(unpacked(layer.qkv, 3), row_of(tensors.at(at + "self_attn.q_proj.weight"), 3));
  EXPECT_EQ(unpacked(layer.qkv, 65), row_of(tensors.at(at + "self_attn.k_proj.weight"), 1));
  EXPECT_EQ(unpacked(layer.qkv, 127), row_of(tensors.at(at + "self_attn.v_proj.weight"), 31));
  EXPECT_EQ(layer.qkv_bias[64], tensors.at(at + "self_attn.k_proj.bias").values[0]);
  EXPECT_EQ(unpacked(layer.o, 9), row_of(tensors.at(at + "self_attn.o_proj.weight"), 9));
  EXPECT_EQ(unpacked(layer.gate_up, 95), row_of(tensors.at(at + "mlp.gate_proj.weight"), 95));
  EXPECT_EQ(unpacked(layer.gate_up, 96), row_of(tensors.at(at + "mlp.up_proj.weight"), 0));
  EXPECT_EQ(unpacked(layer.down, 63), row_of(tensors.at(at + "mlp.down_proj.weight"), 63));
  EXPECT_EQ(unpacked(weights->output(), 39), row_of(tensors.at("lm_head.weight"), 39));
  EXPECT_EQ(unpacked(weights->embedding, 39), row_of(tensors.at("model.embed_tokens.weight"), 39));
  EXPECT_EQ(weights->final_norm, tensors.at("model.norm.weight").values);
  std::int64_t parameters = 0;
  for (const auto& [name, tensor] : tensors) {
    parameters += static_cast<std::int64_t>(tensor.values.size());
  }
  EXPECT_EQ(weights->parameters, parameters);
  EXPECT_EQ(weights->format, "float32");
}

TEST(LoadWeights, TiedHeadIsTheEmbedding) {
  const auto weights = load_folder(tiny_tensors(false, true),
                                   config_of("qwen3", "Qwen3ForCausalLM"), WeightChoice::kAuto);
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_EQ(&weights->output(), &weights->embedding);
  EXPECT_EQ(weights->layers[0].q_norm.size(), 16u);
  EXPECT_EQ(weights->layers[0].qkv.format, (WeightFormat{WeightKind::kBF16, 0}));
  // A head that was saved all the same is not read.
  EXPECT_TRUE(
      load_folder(tiny_tensors(false, true, false), config_of("qwen3", "Qwen3ForCausalLM")));
}

TEST(LoadWeights, KeepsWeightsAsAsked) {
  const std::string config = config_of("llama", "LlamaForCausalLM");
  const auto format = [&](WeightChoice choice) {
    const auto weights = load_folder(tiny_tensors(), config, choice);
    EXPECT_TRUE(weights) << weights.error().message;
    // A tied head has a matrix of its own where it is kept in another format.
    EXPECT_EQ(weights->head.rows > 0, weights->output().format != weights->embedding.format);
    return std::tuple(weights->layers[0].down.format, weights->embedding.format,
                      weights->output().format);
  };
  constexpr WeightFormat kI4{WeightKind::kI4, 32, true}, kNF4{WeightKind::kNF4, 32, true};
  constexpr WeightFormat kBF16{WeightKind::kBF16, 0};
  const auto rotated = [](std::int64_t cols) {
    return WeightFormat{WeightKind::kI8, cols % 64 == 0 ? 64 : 32, true};
  };
  EXPECT_EQ(format(WeightChoice::kBF16), std::tuple(kBF16, kBF16, kBF16));
  EXPECT_EQ(format(WeightChoice::kI8), std::tuple(rotated(kIntermediate), kBF16, rotated(kHidden)));
  EXPECT_EQ(format(WeightChoice::kI4), std::tuple(kI4, kBF16, rotated(kHidden)));
  EXPECT_EQ(format(WeightChoice::kNF4), std::tuple(kNF4, kBF16, rotated(kHidden)));
}

TEST(LoadWeights, MissingTensorIsNamed) {
  for (const auto& [name, tensor] : tiny_tensors()) {
    TestTensors tensors = tiny_tensors();
    tensors.erase(name);
    const auto weights = load_folder(tensors, config_of("llama", "LlamaForCausalLM"));
    ASSERT_FALSE(weights) << name;
    EXPECT_EQ(weights.error().code, base::ErrorCode::kBadModel);
    EXPECT_THAT(weights.error().message, HasSubstr("tensor " + name + ": expected"));
  }
  const auto untied = load_folder(tiny_tensors(), config_of("llama", "LlamaForCausalLM", false));
  ASSERT_FALSE(untied);
  EXPECT_THAT(untied.error().message, HasSubstr("lm_head.weight"));
}

TEST(LoadWeights, WrongShapeIsNamed) {
  for (const auto& [name, tensor] : tiny_tensors()) {
    TestTensors tensors = tiny_tensors();
    tensors[name].shape.back() *= 2;
    tensors[name].values.resize(tensors[name].values.size() * 2);
    const auto weights = load_folder(tensors, config_of("llama", "LlamaForCausalLM"));
    ASSERT_FALSE(weights) << name;
    EXPECT_THAT(weights.error().message, HasSubstr("tensor " + name + ": expected ["));
  }
  TestTensors flat = tiny_tensors();
  flat["model.layers.0.mlp.down_proj.weight"].shape = {kHidden * kIntermediate};
  EXPECT_FALSE(load_folder(flat, config_of("llama", "LlamaForCausalLM")));
}

TEST(LoadWeights, UnreadTensorIsNamed) {
  for (const char* name :
       {"model.layers.2.input_layernorm.weight", "extra.weight",
        "model.layers.0.self_attn.q_proj.bias", "model.layers.1000000000.mlp.up_proj.weight",
        "model.layers.0.self_attn.q_norm.weight"}) {
    TestTensors tensors = tiny_tensors();
    tensors[name] = {{1}, {1}};
    const auto weights = load_folder(tensors, config_of("llama", "LlamaForCausalLM"));
    ASSERT_FALSE(weights) << name;
    EXPECT_THAT(weights.error().message, HasSubstr(std::string("tensor ") + name));
  }
  TestTensors old = tiny_tensors();
  old["model.layers.0.self_attn.rotary_emb.inv_freq"] = {{8}, std::vector<float>(8)};
  EXPECT_TRUE(load_folder(old, config_of("llama", "LlamaForCausalLM")));
}

TEST(LoadWeights, GgufOfLlamaGivesTheSameWeights) {
  const TestTensors tensors = tiny_tensors();
  const TempFolder folder;
  testing::GgufWriter writer = testing::as_gguf(tensors, "llama");
  const std::vector<float> divisors = {1, 1, 1, 2, 2, 4, 8, 8};
  writer.tensor("rope_freqs.weight", {8}, 0, testing::raw_floats(divisors));
  const auto path = folder.write("m.gguf", writer.file());
  const auto weights = load(path, WeightChoice::kF32);
  ASSERT_TRUE(weights) << weights.error().message;
  const auto& q = tensors.at("model.layers.1.self_attn.q_proj.weight");
  const auto& k = tensors.at("model.layers.1.self_attn.k_proj.weight");
  for (std::int64_t row = 0; row < 64; ++row) {
    EXPECT_EQ(unpacked(weights->layers[1].qkv, row), row_of(q, row));
    if (row < 32) {
      EXPECT_EQ(unpacked(weights->layers[1].qkv, 64 + row), row_of(k, row));
    }
  }
  const auto spec = read_spec(*open_checkpoint(path).value());
  EXPECT_EQ(spec->rope.divisors, divisors);
  EXPECT_EQ(spec->generation.eos_tokens, (std::vector<std::int32_t>{2, 5}));
  EXPECT_TRUE(spec->tied_head);
  EXPECT_EQ(spec->vocabulary, kVocabulary);
}

base::Status gguf_status(const TempFolder& folder, testing::GgufWriter& writer) {
  const auto checkpoint = VSURGE_TRY(open_checkpoint(folder.write("k.gguf", writer.file())));
  VSURGE_TRY(read_spec(*checkpoint));
  return {};
}

TEST(LoadWeights, GgufKeysThatChangeAModelAndAreNotReadAreRefused) {
  const TempFolder folder;
  const auto with = [&](const std::string& family, const auto& change) {
    testing::GgufWriter writer = testing::as_gguf(tiny_tensors(), family);
    change(writer, family + ".");
    const base::Status status = gguf_status(folder, writer);
    return status ? std::string() : status.error().message;
  };
  using Writer = testing::GgufWriter;
  const std::string flag_off(1, '\0');
  for (const char* key :
       {"expert_count", "logit_scale", "attn_logit_softcapping", "final_logit_softcapping",
        "attention.scale", "residual_scale", "embedding_scale", "pooling_type",
        "attention.max_alibi_bias", "rope.scaling.yarn_log_multiplier",
        "rope.scaling.yarn_ext_factor", "rope.scaling.attn_factor", "rope.dimension_sections"}) {
    const auto set = [&](Writer& w, const std::string& prefix) { w.f32(prefix + key, 0.5f); };
    EXPECT_THAT(with("llama", set), HasSubstr(key));
  }
  const auto neutral = [](Writer& w, const std::string& prefix) {
    w.u32(prefix + "expert_count", 0)
        .f32(prefix + "logit_scale", 1)
        .u32(prefix + "pooling_type", 0);
    w.f32(prefix + "attention.scale", 0.25f).f32(prefix + "rope.scaling.yarn_ext_factor", 0);
    w.f32(prefix + "rope.scaling.attn_factor", 1).entry(prefix + "attention.causal", 7, "\1");
    w.text(prefix + "hidden_activation", "silu");
  };
  EXPECT_EQ(with("llama", neutral), "");
  EXPECT_THAT(with("llama",
                   [&](Writer& w, const std::string& prefix) {
                     w.entry(prefix + "attention.causal", 7, flag_off);
                   }),
              HasSubstr("attention.causal"));
  const auto yarn = [&](float factor) {
    return with("llama", [&](Writer& w, const std::string& prefix) {
      w.text(prefix + "rope.scaling.type", "yarn").f32(prefix + "rope.scaling.factor", 2);
      w.f32(prefix + "rope.scaling.yarn_ext_factor", factor);
    });
  };
  EXPECT_EQ(yarn(1), "");
  EXPECT_EQ(yarn(-1), "");
  EXPECT_THAT(yarn(0), HasSubstr("yarn_ext_factor"));
  for (const char* family : {"qwen2", "qwen3"}) {
    const auto window = [&](std::uint32_t size) {
      return with(family, [&](Writer& w, const std::string& prefix) {
        w.u32(prefix + "attention.sliding_window", size);
      });
    };
    EXPECT_THAT(window(64), HasSubstr("sliding_window"));
    EXPECT_EQ(window(0), "");
    EXPECT_EQ(window(128), "") << "as long as the context";
  }
}

TEST(LoadWeights, WrongGgufMetadataIsRefused) {
  const TempFolder folder;
  const auto refusal = [&](const auto& change) {
    testing::GgufWriter writer = testing::as_gguf(tiny_tensors(), "llama");
    change(writer);
    const auto weights = load(folder.write("m.gguf", writer.file()), WeightChoice::kF32);
    EXPECT_FALSE(weights.has_value());
    return weights ? std::string() : weights.error().message;
  };
  using Writer = testing::GgufWriter;
  EXPECT_THAT(refusal([](Writer& w) { w.u32("llama.vocab_size", 41); }), HasSubstr("vocab_size"));
  EXPECT_THAT(refusal([](Writer& w) { w.u32("llama.rope.dimension_count", 8); }),
              HasSubstr("rope.dimension_count"));
  EXPECT_THAT(refusal([](Writer& w) { w.text("llama.rope.scaling.type", "longrope"); }),
              HasSubstr("rope.scaling.type"));
  EXPECT_THAT(refusal([](Writer& w) { w.u32("llama.attention.value_length", 32); }),
              HasSubstr("value_length"));
  EXPECT_THAT(refusal([](Writer& w) { w.u32("tokenizer.ggml.bos_token_id", 40); }),
              HasSubstr("bos_token_id"));
  EXPECT_THAT(
      refusal([](Writer& w) { w.tensor("rope_freqs.weight", {4}, 0, std::string(16, 'x')); }),
      HasSubstr("rope_freqs.weight"));
  EXPECT_THAT(
      refusal([](Writer& w) { w.tensor("rope_freqs.weight", {8}, 0, std::string(32, '\0')); }),
      HasSubstr("positive"));
  const auto unknown =
      load(folder.write("u.gguf", testing::as_gguf(tiny_tensors(), "gemma3").file()),
           WeightChoice::kF32);
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("expected one of llama, qwen2, qwen3, found"));
}

TEST(LoadWeights, ReportsProgressToTheEnd) {
  const TempFolder folder;
  folder.write("config.json", config_of("llama", "LlamaForCausalLM"));
  folder.write("model.safetensors", testing::safetensors_of(tiny_tensors()));
  std::vector<std::int64_t> progress;
  ASSERT_TRUE(load(folder.path(), WeightChoice::kAuto, &progress));
  ASSERT_GT(progress.size(), 3u);
  EXPECT_EQ(progress.front(), 0);
  EXPECT_TRUE(std::ranges::is_sorted(progress));
}

TEST(LoadWeights, DefaultModelIsReadAsItIs) {
  const auto path = base::default_model_path();
  if (!path) GTEST_SKIP() << base::default_model_missing();
  const auto checkpoint = open_checkpoint(*path);
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const auto spec = read_spec(**checkpoint);
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->family, "llama");
  const auto weights = load_weights(**checkpoint, *spec, backend(), {});
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_EQ(weights->format, "int4 g32 with minimum");
  EXPECT_EQ(weights->embedding.format, (WeightFormat{WeightKind::kI8, 32}));
}

}  // namespace
}  // namespace vsurge::model
