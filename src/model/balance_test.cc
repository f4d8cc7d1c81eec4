#include "model/balance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "model/decoder.h"
#include "model/tiny_fixture.h"

namespace vsurge::model {
namespace {

using testing::config_of;
using testing::kHidden;
using testing::kIntermediate;
using testing::kVocabulary;
using testing::TempFolder;
using testing::TestTensors;
using testing::tiny_tensors;

tensor::Backend& backend() {
  static auto made = tensor::make_cpu_backend({.threads = 2, .isa = "scalar"});
  CHECK(made.has_value());
  return **made;
}

// Column k holds the value given for it in every row.
class EvenRows final : public tensor::RowSource {
 public:
  EvenRows(std::int64_t rows, std::vector<float> columns)
      : rows_(rows), columns_(std::move(columns)) {}
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return std::ssize(columns_); }
  kernels::WeightFormat native() const override { return {kernels::WeightKind::kF32, 0}; }
  void read_floats(std::int64_t, float* out) const override { std::ranges::copy(columns_, out); }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override {}

 private:
  std::int64_t rows_;
  std::vector<float> columns_;
};

TEST(Balance, IsTheRootOfTheRatioOnAGrid) {
  const std::vector<float> sizes = {1, 4, 1, 1.03F, 1e-30F, 1e30F};
  const auto factors = balance(sizes, EvenRows(3000, {1, 1, 16, 1, 1, 1}));
  EXPECT_EQ(factors, (std::vector<float>{1, 0.5F, 4, 1, 4096, 1.0F / 4096}));
  const auto quarter = balance(std::vector<float>{1}, EvenRows(1, {1.5F}));
  EXPECT_FLOAT_EQ(quarter[0], std::exp2(0.25F));
}

TEST(Balance, LeavesWhatHasNoSize) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = INFINITY;
  const auto factors =
      balance(std::vector<float>{0, 1, nan, 1, inf, 1}, EvenRows(2, {1, 0, 1, nan, 1, inf}));
  EXPECT_EQ(factors, std::vector<float>(6, 1.0F));
}

struct Loaded {
  DecoderSpec spec;
  DecoderWeights weights;
};

Loaded load(const TestTensors& tensors, WeightChoice choice,
            const std::string& config = config_of("llama", "LlamaForCausalLM")) {
  const TempFolder folder;
  folder.write("config.json", config);
  folder.write("model.safetensors", testing::safetensors_of(tensors));
  const auto checkpoint = open_checkpoint(folder.path());
  CHECK(checkpoint.has_value());
  Loaded out;
  out.spec = read_spec(**checkpoint).value();
  LoadOptions options;
  options.weights = choice;
  auto weights = load_weights(**checkpoint, out.spec, backend(), options);
  CHECK(weights.has_value(), "{}", weights.error().message);
  out.weights = std::move(*weights);
  return out;
}

// Channels that stand out in what the matrices meet, as those of trained models do, in a model that
// computes the same: the norms' weights are 100 times as large there, the columns 1/100.
TestTensors with_outliers() {
  TestTensors tensors = tiny_tensors();
  constexpr float kFactor = 100;
  for (auto& [name, tensor] : tensors) {
    const bool norm = name.ends_with("layernorm.weight");
    const bool behind =
        name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos ||
        name.find("v_proj") != std::string::npos || name.find("gate_proj") != std::string::npos ||
        name.find("up_proj") != std::string::npos;
    for (const std::size_t channel : {5U, 40U}) {
      if (norm) tensor.values[channel] *= kFactor;
      for (std::size_t i = channel; behind && i < tensor.values.size(); i += kHidden) {
        tensor.values[i] /= kFactor;
      }
    }
  }
  return tensors;
}

std::vector<float> logits_of(Loaded loaded) {
  constexpr int kCount = 24;
  Decoder decoder(std::move(loaded.spec), std::move(loaded.weights), backend());
  CHECK(decoder
            .reserve({.tokens_max = kCount,
                      .sequences_max = 1,
                      .logit_rows_max = kCount,
                      .context_max = kCount,
                      .page_size = 32,
                      .pages = 1,
                      .kv_dtype = tensor::DType::kF32})
            .has_value());
  std::vector<std::int32_t> tokens(kCount), places(kCount);
  std::iota(places.begin(), places.end(), 0);
  for (int i = 0; i < kCount; ++i) tokens[static_cast<std::size_t>(i)] = i * 7 % kVocabulary;
  const std::vector<std::int32_t> offsets{0, kCount}, lengths{kCount}, pages{0}, page_offsets{0, 1};
  const tensor::Tensor logits = decoder.forward({.tokens = tokens,
                                                 .positions = places,
                                                 .slots = places,
                                                 .sequence_offsets = offsets,
                                                 .context_lengths = lengths,
                                                 .pages = pages,
                                                 .page_offsets = page_offsets,
                                                 .logit_rows = places});
  std::vector<float> all;
  for (std::int64_t row = 0; row < logits.rows; ++row) {
    all.insert(all.end(), logits.row<float>(row), logits.row<float>(row) + logits.cols);
  }
  return all;
}

// Mean square of the difference by that of b.
double error_of(const std::vector<float>& a, const std::vector<float>& b) {
  double off = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    off += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    all += double{b[i]} * b[i];
  }
  return off / all;
}

TEST(Balance, OutliersCostNothing) {
  const auto exact = logits_of(load(tiny_tensors(), WeightChoice::kF32));
  const double even = error_of(logits_of(load(tiny_tensors(), WeightChoice::kI8)), exact);
  const double uneven = error_of(logits_of(load(with_outliers(), WeightChoice::kI8)), exact);
  EXPECT_LT(even, 1e-2);
  EXPECT_LT(uneven, 2 * even);
}

TEST(Balance, MarksWhatIsBalanced) {
  const Loaded loaded = load(tiny_tensors(), WeightChoice::kI8);
  for (const LayerWeights& layer : loaded.weights.layers) {
    EXPECT_TRUE(layer.qkv.one_plane);
    EXPECT_FALSE(layer.o.one_plane);
    EXPECT_TRUE(layer.gate_up.one_plane);
    EXPECT_TRUE(layer.down.one_plane);
  }
  EXPECT_TRUE(loaded.weights.head.one_plane);
  EXPECT_NE(loaded.weights.output_norm(), loaded.weights.final_norm);
  // What pooling reads is not the balanced norm.
  EXPECT_EQ(loaded.weights.final_norm, tiny_tensors().at("model.norm.weight").values);

  const Loaded floats = load(tiny_tensors(), WeightChoice::kBF16);
  EXPECT_TRUE(floats.weights.head_norm.empty());
  EXPECT_FALSE(floats.weights.layers[0].qkv.one_plane);
}

TEST(Balance, BiasOfUpIsBalancedWithItsRows) {
  TestTensors tensors = tiny_tensors();
  std::mt19937 random(3);
  for (int i = 0; i < 2; ++i) {
    const std::string at = fmt::format("model.layers.{}.mlp.", i);
    tensors[at + "gate_proj.bias"] = testing::random_tensor({kIntermediate}, random);
    tensors[at + "up_proj.bias"] = testing::random_tensor({kIntermediate}, random);
    tensors[at + "down_proj.bias"] = testing::random_tensor({kHidden}, random);
  }
  std::string config = config_of("llama", "LlamaForCausalLM");
  config.insert(1, R"("mlp_bias": true, )");
  const auto with_bias = [&](WeightChoice choice) {
    return logits_of(load(tensors, choice, config));
  };
  EXPECT_LT(error_of(with_bias(WeightChoice::kI8), with_bias(WeightChoice::kF32)), 1e-2);
}

TEST(Balance, SizesOfEveryInput) {
  Loaded loaded = load(tiny_tensors(), WeightChoice::kF32);
  const auto sizes = measure_inputs(loaded.spec, std::move(loaded.weights), backend());
  ASSERT_TRUE(sizes);
  ASSERT_EQ(sizes->layers.size(), 2U);
  for (const auto& layer : sizes->layers) {
    EXPECT_EQ(layer.attention.size(), std::size_t{kHidden});
    EXPECT_EQ(layer.mlp.size(), std::size_t{kHidden});
    EXPECT_EQ(layer.down.size(), std::size_t{kIntermediate});
    for (const float size : layer.down) EXPECT_GT(size, 0);
    // Rows by their rms: the mean square over the channels is one.
    double sum = 0;
    for (const float size : layer.mlp) sum += double{size} * size;
    EXPECT_NEAR(sum / kHidden, 1, 1e-3);
  }
  EXPECT_EQ(sizes->head.size(), std::size_t{kHidden});
}

}  // namespace
}  // namespace vsurge::model
