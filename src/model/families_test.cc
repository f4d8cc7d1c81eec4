#include "model/families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <string>

namespace vsurge::model {
namespace {

using ::testing::HasSubstr;

constexpr const char* kLlama = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 160,
  "num_hidden_layers": 3, "vocab_size": 100, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
  "bos_token_id": 1, "eos_token_id": 2, "rope_theta": 5e5})";

// kLlama with some keys changed: `changes` is an object; a key that it maps to "" goes away.
base::Result<DecoderSpec> spec(const std::string& changes, const std::string& generation = "") {
  const boost::json::value base = boost::json::parse(kLlama);
  boost::json::object all = base.get_object();
  const boost::json::value changed = boost::json::parse(changes);
  for (const auto& member : changed.get_object()) {
    if (member.value().is_string() && member.value().get_string().empty()) {
      all.erase(member.key());
    } else {
      all[member.key()] = member.value();
    }
  }
  const auto config = Config::parse("config.json", boost::json::serialize(all));
  if (!config) return std::unexpected(config.error());
  if (generation.empty()) return spec_of_config(*config, nullptr);
  const auto second = Config::parse("generation_config.json", generation);
  if (!second) return std::unexpected(second.error());
  return spec_of_config(*config, &*second);
}

DecoderSpec good(const std::string& changes, const std::string& generation = "") {
  auto result = spec(changes, generation);
  EXPECT_TRUE(result.has_value()) << changes << (result ? "" : result.error().message);
  return result ? std::move(*result) : DecoderSpec{};
}

std::string refusal(const std::string& changes, const std::string& generation = "") {
  const auto result = spec(changes, generation);
  EXPECT_FALSE(result.has_value()) << changes;
  if (result) return "";
  EXPECT_EQ(result.error().code, base::ErrorCode::kBadModel);
  return result.error().message;
}

TEST(Families, Llama) {
  const DecoderSpec llama = good("{}");
  EXPECT_EQ(llama.family, "llama");
  EXPECT_EQ(llama.head_dim, 16);
  EXPECT_EQ(llama.kv_heads, 2);
  EXPECT_EQ(llama.layers.size(), 3u);
  EXPECT_FLOAT_EQ(llama.query_scale, 0.25f);
  EXPECT_FLOAT_EQ(llama.norm_eps, 1e-5f);
  EXPECT_FALSE(llama.qkv_bias || llama.o_bias || llama.mlp_bias || llama.tied_head);
  EXPECT_EQ(llama.rope.theta, 5e5);
  EXPECT_EQ(llama.rope.kind, RopeKind::kDefault);
  EXPECT_EQ(llama.generation.eos_tokens, (std::vector<std::int32_t>{2}));
  const DecoderSpec biases = good(R"({"attention_bias": true, "mlp_bias": true,
                                      "num_key_value_heads": null, "tie_word_embeddings": true})");
  EXPECT_TRUE(biases.qkv_bias && biases.o_bias && biases.mlp_bias && biases.tied_head);
  EXPECT_EQ(biases.kv_heads, 4);
}

TEST(Families, MistralSlides) {
  const std::string mistral =
      R"({"model_type": "mistral", "architectures": ["MistralForCausalLM"])";
  EXPECT_EQ(good(mistral + R"(, "sliding_window": 128})").layers[2].window, 128);
  EXPECT_EQ(good(mistral + R"(, "sliding_window": null})").layers[2].window, 0);
  EXPECT_EQ(good(mistral + "}").layers[0].window, 4096);
  EXPECT_EQ(good(mistral + R"(, "head_dim": 32})").head_dim, 32);
  EXPECT_THAT(refusal(mistral + R"(, "sliding_window": 0})"), HasSubstr("/sliding_window"));
}

TEST(Families, Qwen2) {
  const std::string qwen = R"({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"])";
  const DecoderSpec plain = good(qwen + R"(, "sliding_window": 16, "use_sliding_window": false})");
  EXPECT_TRUE(plain.qkv_bias);
  EXPECT_FALSE(plain.o_bias);
  EXPECT_EQ(plain.layers[2].window, 0);
  const DecoderSpec sliding =
      good(qwen + R"(, "sliding_window": 16, "use_sliding_window": true, "max_window_layers": 1})");
  EXPECT_EQ(sliding.layers[0].window, 0);
  EXPECT_EQ(sliding.layers[1].window, 16);
  const DecoderSpec types = good(qwen + R"(, "sliding_window": 16, "use_sliding_window": true,
      "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]})");
  EXPECT_EQ(types.layers[0].window, 16);
  EXPECT_EQ(types.layers[1].window, 0);
  EXPECT_THAT(refusal(qwen + R"(, "layer_types": ["full_attention"]})"), HasSubstr("/layer_types"));
  EXPECT_THAT(refusal(qwen + R"(, "layer_types": ["full_attention", "x", "full_attention"]})"),
              HasSubstr("/layer_types"));
}

TEST(Families, Qwen3) {
  const std::string qwen = R"({"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"])";
  const DecoderSpec spec = good(qwen + R"(, "head_dim": 32})");
  EXPECT_TRUE(spec.qk_norm);
  EXPECT_FALSE(spec.qkv_bias);
  EXPECT_EQ(spec.head_dim, 32);
  EXPECT_EQ(good(qwen + "}").head_dim, 128);  // Qwen3Config's default
}

TEST(Families, UnknownOnesAreRefusedWithTheList) {
  EXPECT_THAT(
      refusal(R"({"model_type": "gemma3"})"),
      HasSubstr("/model_type: expected one of llama, mistral, qwen2, qwen3, found \"gemma3\""));
  EXPECT_THAT(refusal(R"({"model_type": ""})"), HasSubstr("/model_type"));
  for (const char* classes : {R"([])", R"(["LlamaModel"])", R"("LlamaForTokenClassification")",
                              R"(["LlamaForCausalLM", "LlamaForCausalLM"])", "3", "null"}) {
    EXPECT_THAT(refusal(std::string(R"({"architectures": )") + classes + "}"),
                HasSubstr("/architectures"));
  }
}

TEST(Families, SizesAreChecked) {
  for (const char* key : {"num_attention_heads", "hidden_size", "num_hidden_layers", "vocab_size",
                          "intermediate_size", "max_position_embeddings", "num_key_value_heads"}) {
    for (const char* value : {"0", "-1", "1000000000", "2.5", "\"32\"", "true", "2147483648",
                              "9223372036854775807", "18446744073709551615", "[4]"}) {
      EXPECT_THAT(refusal(std::string("{\"") + key + "\": " + value + "}"),
                  HasSubstr(std::string("/") + key))
          << value;
    }
  }
  EXPECT_THAT(refusal(R"({"hidden_size": ""})"), HasSubstr("/hidden_size"));
  EXPECT_THAT(refusal(R"({"hidden_size": 66})"), HasSubstr("/num_attention_heads"));
  EXPECT_THAT(refusal(R"({"num_key_value_heads": 3})"), HasSubstr("/num_key_value_heads"));
  EXPECT_THAT(refusal(R"({"num_key_value_heads": 8})"), HasSubstr("/num_key_value_heads"));
  for (const char* head_dim : {"0", "7", "12", "1000000"}) {
    EXPECT_THAT(refusal(std::string(R"({"head_dim": )") + head_dim + "}"), HasSubstr("/head_dim"));
  }
  for (const char* eps : {"0", "-1e-6", "1", "\"1e-6\""}) {
    EXPECT_THAT(refusal(std::string(R"({"rms_norm_eps": )") + eps + "}"),
                HasSubstr("/rms_norm_eps"));
  }
  EXPECT_THAT(refusal(R"({"hidden_act": "xielu"})"), HasSubstr("silu"));
  EXPECT_THAT(refusal(R"({"quantization_config": {"bits": 4}})"),
              HasSubstr("/quantization_config"));
}

TEST(Families, RopeOfOldKeys) {
  const DecoderSpec llama3 = good(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
      "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 128}})");
  EXPECT_EQ(llama3.rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(llama3.rope.original_context, 128);
  EXPECT_EQ(llama3.context_max, 512);
  const DecoderSpec linear = good(R"({"rope_scaling": {"type": "linear", "factor": 2}})");
  EXPECT_EQ(linear.rope.kind, RopeKind::kLinear);
  EXPECT_EQ(linear.context_max, 1024);
  const DecoderSpec dynamic = good(R"({"rope_scaling": {"type": "dynamic", "factor": 4.0}})");
  EXPECT_EQ(dynamic.rope.kind, RopeKind::kDynamic);
  EXPECT_EQ(dynamic.rope.context_max, 512);
  EXPECT_EQ(dynamic.context_max, 2048);
}

TEST(Families, RopeOfNewKeys) {
  const DecoderSpec plain =
      good(R"({"rope_theta": "", "rope_parameters": {"rope_type": "default", "rope_theta": 7e5}})");
  EXPECT_EQ(plain.rope.theta, 7e5);
  const DecoderSpec yarn = good(R"({"rope_theta": "", "rope_parameters": {"rope_type": "yarn",
      "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 256, "truncate": false,
      "beta_fast": 16, "mscale": 1.0, "mscale_all_dim": 0.8}})");
  EXPECT_EQ(yarn.rope.kind, RopeKind::kYarn);
  EXPECT_EQ(yarn.rope.beta_fast, 16);
  EXPECT_EQ(yarn.rope.beta_slow, 1);
  EXPECT_FALSE(yarn.rope.truncate);
  EXPECT_EQ(yarn.rope.mscale, 1.0);
  EXPECT_EQ(yarn.context_max, 1024);
}

TEST(Families, WrongRopeIsRefused) {
  const auto scaling = [](const std::string& keys) {
    return refusal(R"({"rope_scaling": {)" + keys + "}}");
  };
  EXPECT_THAT(scaling(R"("rope_type": "longrope")"), HasSubstr("/rope_scaling/rope_type"));
  EXPECT_THAT(scaling(R"("type": "linear")"), HasSubstr("/rope_scaling/factor"));
  EXPECT_THAT(scaling(R"("type": "linear", "factor": 0)"), HasSubstr("/rope_scaling/factor"));
  EXPECT_THAT(scaling(R"("type": "linear", "factor": "2")"), HasSubstr("/rope_scaling/factor"));
  EXPECT_THAT(scaling(R"("type": "dynamic", "factor": 0.5)"), HasSubstr("/rope_scaling/factor"));
  EXPECT_THAT(scaling(R"("type": "llama3", "factor": 8)"), HasSubstr("low_freq_factor"));
  EXPECT_THAT(scaling(R"("type": "llama3", "factor": 8, "low_freq_factor": 4,
                         "high_freq_factor": 4)"),
              HasSubstr("high_freq_factor"));
  EXPECT_THAT(scaling(R"("type": "yarn", "factor": 4, "beta_fast": 0)"), HasSubstr("beta_fast"));
  EXPECT_THAT(refusal(R"({"rope_scaling": [1]})"), HasSubstr("/rope_scaling"));
  for (const char* theta : {"0", "1", "-1e4", "1e308", "\"1e4\""}) {
    EXPECT_THAT(refusal(std::string(R"({"rope_theta": )") + theta + "}"), HasSubstr("/rope_theta"));
  }
  EXPECT_THAT(refusal(R"({"rope_scaling": {"type": "linear", "factor": 2},
                          "rope_parameters": {"rope_type": "default"}})"),
              HasSubstr("/rope_scaling"));
  EXPECT_THAT(refusal(R"({"rope_parameters": {"rope_theta": 1e4}})"), HasSubstr("/rope_theta"));
  EXPECT_THAT(refusal(R"({"partial_rotary_factor": 0.5})"), HasSubstr("partial_rotary_factor"));
}

TEST(Families, GenerationDefaults) {
  const DecoderSpec both = good("{}", R"({"eos_token_id": [9, 3], "temperature": 0.6,
                                          "top_p": 0.95, "top_k": 20, "min_p": 0.05,
                                          "repetition_penalty": 1.1, "do_sample": true,
                                          "max_new_tokens": 2048})");
  EXPECT_EQ(both.generation.eos_tokens, (std::vector<std::int32_t>{2, 3, 9}));
  EXPECT_EQ(both.generation.temperature, 0.6f);
  EXPECT_EQ(both.generation.top_p, 0.95f);
  EXPECT_EQ(both.generation.top_k, 20);
  EXPECT_EQ(both.generation.min_p, 0.05f);
  EXPECT_EQ(both.generation.repetition_penalty, 1.1f);
  EXPECT_EQ(both.generation.max_new_tokens, 2048);
  EXPECT_EQ(both.generation.bos_token, 1);
  const DecoderSpec ignored = good("{}", R"({"temperature": -1, "top_p": 0, "top_k": 1e12,
                                             "min_p": 2, "repetition_penalty": 0,
                                             "max_new_tokens": 0})");
  EXPECT_EQ(ignored.generation.temperature, std::nullopt);
  EXPECT_EQ(ignored.generation.top_p, std::nullopt);
  EXPECT_EQ(ignored.generation.top_k, std::nullopt);
  EXPECT_EQ(ignored.generation.min_p, std::nullopt);
  EXPECT_EQ(ignored.generation.repetition_penalty, std::nullopt);
  EXPECT_EQ(ignored.generation.max_new_tokens, std::nullopt);
  EXPECT_TRUE(
      good(R"({"eos_token_id": null, "bos_token_id": null})").generation.eos_tokens.empty());
}

TEST(Families, WrongEndsAreRefused) {
  std::string many = "[0";
  for (int i = 0; i < 10'000; ++i) many += ",1";
  const std::string long_list = many + "]";
  for (const std::string& ids : {std::string("-1"), std::string("100"), std::string("[]"),
                                 std::string("\"2\""), std::string("[2, -1]"), long_list}) {
    EXPECT_THAT(refusal(R"({"eos_token_id": )" + ids + "}"), HasSubstr("/eos_token_id"));
    EXPECT_THAT(refusal("{}", R"({"eos_token_id": )" + ids + "}"),
                HasSubstr("generation_config.json: /eos_token_id"));
  }
  EXPECT_THAT(refusal(R"({"bos_token_id": 100})"), HasSubstr("/bos_token_id"));
}

}  // namespace
}  // namespace vsurge::model
