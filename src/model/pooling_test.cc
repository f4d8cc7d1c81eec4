// What folders and GGUF files say about embeddings and scores, and the tensors that go with it.
#include "model/pooling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/decoder.h"
#include "model/packed_folder.h"
#include "model/tiny_fixture.h"
#include "model/weights.h"

namespace vsurge::model {
namespace {

using namespace testing;
using ::testing::HasSubstr;

constexpr const char* kCausal = "Qwen3ForCausalLM";

std::unique_ptr<tensor::Backend> backend() {
  return std::move(*tensor::make_cpu_backend({1, ""}));
}

std::string modules_of(std::initializer_list<std::pair<const char*, const char*>> modules) {
  std::string out;
  for (const auto& [type, path] : modules) {
    out += fmt::format(R"({}{{"idx":0,"name":"0","path":"{}","type":"{}"}})",
                       out.empty() ? "[" : ",", path, type);
  }
  return out + "]";
}

const std::string kUsual = modules_of({{"sentence_transformers.models.Transformer", ""},
                                       {"sentence_transformers.models.Pooling", "1_Pooling"},
                                       {"sentence_transformers.models.Normalize", "2_Normalize"}});

class Folder {
 public:
  explicit Folder(const TestTensors& tensors = tiny_tensors(false, true)) {
    folder_.write("model.safetensors", safetensors_of(tensors));
    config("");
  }
  // More keys of config.json: "\"a\": 1, ".
  void config(const std::string& more, const std::string& architecture = kCausal,
              bool tied = true) {
    std::string text = config_of("qwen3", architecture, tied);
    text.insert(1, more);
    folder_.write("config.json", text);
  }
  void write(const std::string& name, std::string_view text) {
    std::filesystem::create_directories((path() / name).parent_path());
    folder_.write(name, text);
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  base::Result<DecoderSpec> spec() const {
    const auto checkpoint = VSURGE_TRY(open_checkpoint(path()));
    return read_spec(*checkpoint);
  }
  PoolingSpec pooling() const {
    auto spec_or = spec();
    EXPECT_TRUE(spec_or.has_value()) << (spec_or ? "" : spec_or.error().message);
    return spec_or ? spec_or->pooling : PoolingSpec{};
  }

 private:
  TempFolder folder_;
};

TEST(Pooling, NothingSaidIsNothing) {
  const Folder folder;
  EXPECT_EQ(folder.pooling().use, PooledUse::kNone);
  EXPECT_EQ(folder.pooling().refused, "");
  EXPECT_TRUE(folder.pooling().needs_head());
}

TEST(Pooling, ModesOfSentenceTransformers) {
  Folder folder;
  folder.write("modules.json", kUsual);
  struct Row {
    const char* config;
    PooledTokens tokens;
  };
  for (const Row& row : {
           Row{R"({"pooling_mode_lasttoken": true, "pooling_mode_mean_tokens": false})",
               PooledTokens::kLast},
           Row{R"({"pooling_mode_mean_tokens": true})", PooledTokens::kMean},
           Row{R"({"pooling_mode_cls_token": true, "include_prompt": true})", PooledTokens::kFirst},
           Row{R"({"pooling_mode": "lasttoken"})", PooledTokens::kLast},
           Row{R"({"pooling_mode": ["mean"]})", PooledTokens::kMean},
       }) {
    folder.write("1_Pooling/config.json", row.config);
    const PoolingSpec pooling = folder.pooling();
    EXPECT_EQ(pooling.use, PooledUse::kEmbedding) << row.config << pooling.refused;
    EXPECT_EQ(pooling.tokens, row.tokens);
    EXPECT_TRUE(pooling.normalize);
    EXPECT_FALSE(pooling.needs_head());
  }
  folder.write("modules.json", modules_of({{"a.Transformer", ""}, {"b.Pooling", "1_Pooling"}}));
  EXPECT_FALSE(folder.pooling().normalize);
}

TEST(Pooling, WhatIsNotSupportedSaysWhy) {
  Folder folder;
  folder.write("modules.json", kUsual);
  for (const char* config :
       {R"({"pooling_mode_max_tokens": true})", R"({"pooling_mode": "weightedmean"})", "{}",
        R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true})"}) {
    folder.write("1_Pooling/config.json", config);
    EXPECT_EQ(folder.pooling().use, PooledUse::kNone);
    EXPECT_THAT(folder.pooling().refused, HasSubstr("1_Pooling/config.json")) << config;
  }
  folder.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  folder.config(R"("is_causal": false, )");
  EXPECT_THAT(folder.pooling().refused, HasSubstr("both sides"));
  folder.config(R"("use_bidirectional_attention": true, )");
  EXPECT_THAT(folder.pooling().refused, HasSubstr("both sides"));
  folder.config("");
  folder.write(
      "modules.json",
      modules_of({{"a.Transformer", ""}, {"a.Pooling", "1_Pooling"}, {"a.Dense", "2_Dense"}}));
  EXPECT_THAT(folder.pooling().refused, HasSubstr("Dense"));
  folder.write("modules.json", modules_of({{"a.CLIPModel", ""}}));
  EXPECT_THAT(folder.pooling().refused, HasSubstr("Transformer"));
}

TEST(Pooling, BrokenFilesAreRefused) {
  Folder folder;
  const auto error = [&] {
    const auto spec = folder.spec();
    EXPECT_FALSE(spec.has_value());
    return spec ? std::string() : spec.error().message;
  };
  for (const char* text : {"{}", "[", "[1]", R"([{"type":"a.Transformer"}])", R"([{"path":""}])"}) {
    folder.write("modules.json", text);
    EXPECT_THAT(error(), HasSubstr("modules.json")) << text;
  }
  folder.write("modules.json", kUsual);
  EXPECT_THAT(error(), HasSubstr("1_Pooling/config.json"));
  folder.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": 1})");
  EXPECT_THAT(error(), HasSubstr("pooling_mode_mean_tokens"));
  for (const char* path : {"../x", "a/b", "..", "/etc"}) {
    folder.write("modules.json", modules_of({{"a.Transformer", ""}, {"a.Pooling", path}}));
    error();
  }
}

TEST(Pooling, ScoresByLogits) {
  Folder folder;
  folder.write("modules.json",
               modules_of({{"sentence_transformers.base.modules.transformer.Transformer", ""},
                           {"x.logit_score.LogitScore", "1_LogitScore"}}));
  folder.write("1_LogitScore/config.json", R"({"true_token_id": 7, "false_token_id": 3})");
  PoolingSpec pooling = folder.pooling();
  EXPECT_EQ(pooling.use, PooledUse::kTokenLogits);
  EXPECT_EQ(pooling.true_token, 7);
  EXPECT_EQ(pooling.false_token, 3);
  EXPECT_TRUE(pooling.needs_head());
  folder.write("1_LogitScore/config.json", R"({"true_token_id": 7, "false_token_id": null})");
  EXPECT_EQ(folder.pooling().false_token, -1);
  folder.write("1_LogitScore/config.json", "{}");
  EXPECT_FALSE(folder.spec().has_value());
  Folder named;
  named.config(R"("classifier_from_token": ["no", "yes"], )");
  pooling = named.pooling();
  EXPECT_EQ(pooling.use, PooledUse::kTokenLogits);
  EXPECT_EQ(pooling.token_names, (std::vector<std::string>{"no", "yes"}));
  named.config(R"("classifier_from_token": ["no"], )");
  EXPECT_FALSE(named.spec().has_value());
}

TEST(Pooling, Gguf) {
  const TempFolder folder;
  const auto pooling = [&](std::uint32_t type) {
    GgufWriter writer = as_gguf(tiny_tensors(), "llama");
    writer.u32("llama.pooling_type", type);
    const auto checkpoint = open_checkpoint(folder.write("k.gguf", writer.file()));
    auto spec = read_spec(**checkpoint);
    return spec ? base::Result<PoolingSpec>(spec->pooling) : std::unexpected(spec.error());
  };
  EXPECT_EQ(pooling(0)->use, PooledUse::kNone);
  EXPECT_EQ(pooling(1)->tokens, PooledTokens::kMean);
  EXPECT_EQ(pooling(2)->tokens, PooledTokens::kFirst);
  EXPECT_EQ(pooling(3)->tokens, PooledTokens::kLast);
  EXPECT_EQ(pooling(3)->use, PooledUse::kEmbedding);
  EXPECT_TRUE(pooling(3)->normalize);
  EXPECT_FALSE(pooling(4).has_value()) << "rank";
}

// Without the head, and without "model." in the names.
TEST(Pooling, BareEmbeddingModels) {
  TestTensors bare;
  for (const auto& [name, tensor] : tiny_tensors(false, true)) bare[name.substr(6)] = tensor;
  Folder folder(bare);
  folder.write("modules.json", kUsual);
  folder.write("1_Pooling/config.json", R"({"pooling_mode_lasttoken": true})");
  for (const bool tied : {true, false}) {
    folder.config("", kCausal, tied);
    const auto cpu = backend();
    const auto model = load_model(folder.path(), *cpu, {});
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_FALSE((*model)->info().generates);
  }
  std::filesystem::remove(folder.path() / "modules.json");
  const auto cpu = backend();
  EXPECT_FALSE(load_model(folder.path(), *cpu, {}).has_value()) << "a head is missing";
}

TestTensors classifier_tensors(int labels) {
  TestTensors tensors = tiny_tensors(false, true);
  std::mt19937 random(3);
  tensors["score.weight"] = random_tensor({labels, kHidden}, random);
  return tensors;
}

TEST(Pooling, Classifiers) {
  const TestTensors tensors = classifier_tensors(1);
  Folder folder(tensors);
  folder.config(R"("id2label": {"0": "LABEL_0"}, )", "Qwen3ForSequenceClassification");
  const auto cpu = backend();
  const auto model = load_model(folder.path(), *cpu, {});
  ASSERT_TRUE(model.has_value()) << model.error().message;
  const ModelInfo& info = (*model)->info();
  EXPECT_EQ(info.pooling.use, PooledUse::kClassifier);
  EXPECT_EQ(info.pooling.labels, 1);
  EXPECT_EQ(info.score, tensors.at("score.weight").values);
  EXPECT_FALSE(info.generates);
  folder.config("", "Qwen3ForSequenceClassification");
  EXPECT_FALSE(load_model(folder.path(), *cpu, {}).has_value()) << "two labels by default";
  folder.config("", "LlamaForSequenceClassification");
  EXPECT_FALSE(folder.spec().has_value()) << "of another family";
}

// A packed folder says and has the same.
TEST(Pooling, Packed) {
  const TestTensors tensors = classifier_tensors(2);
  Folder classifier(tensors);
  classifier.config("", "Qwen3ForSequenceClassification");
  const TempFolder target;
  const auto cpu = backend();
  ASSERT_TRUE(write_packed_folder(classifier.path(), target.path() / "a", *cpu, {}));
  auto model = load_model(target.path() / "a", *cpu, {});
  ASSERT_TRUE(model.has_value()) << model.error().message;
  EXPECT_EQ((*model)->info().score, tensors.at("score.weight").values);
  Folder embedding;
  embedding.write("modules.json", kUsual);
  embedding.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  for (int round = 0; round < 2; ++round) {  // a second time over the first
    const auto written = write_packed_folder(embedding.path(), target.path() / "b", *cpu, {});
    ASSERT_TRUE(written) << written.error().message;
    const auto cpu_again = backend();
    model = load_model(target.path() / "b", *cpu_again, {});
    ASSERT_TRUE(model.has_value()) << model.error().message;
    EXPECT_EQ((*model)->info().pooling.tokens, PooledTokens::kMean);
    EXPECT_FALSE((*model)->info().generates);
  }
}

}  // namespace
}  // namespace vsurge::model
