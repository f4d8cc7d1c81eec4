// Knobs of the decoder that no checkpoint of the oracle turns, and its sizes; on random weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "golden_runner.h"
#include "model/decoder.h"

namespace vsurge::testing {
namespace {

using model::DecoderSpec;
using model::DecoderWeights;

class RandomRows final : public tensor::RowSource {
 public:
  RandomRows(std::int64_t rows, std::int64_t cols) : rows_(rows), cols_(cols) {}
  std::int64_t rows() const override { return rows_; }
  std::int64_t cols() const override { return cols_; }
  kernels::WeightFormat native() const override { return {kernels::WeightKind::kF32, 0}; }
  void read_floats(std::int64_t row, float* out) const override {
    std::minstd_rand random(static_cast<unsigned>(row * 7919 + cols_ + 1));
    std::uniform_real_distribution<float> uniform(-1, 1);
    const float spread = 2 / std::sqrt(static_cast<float>(cols_));
    for (std::int64_t i = 0; i < cols_; ++i) out[i] = spread * uniform(random);
  }
  void read_codes(std::int64_t, std::int16_t*, float*, float*) const override { FAIL(); }

 private:
  std::int64_t rows_, cols_;
};

DecoderSpec small_spec() {
  DecoderSpec spec;
  spec.family = "random";
  spec.vocabulary = 50;
  spec.hidden = 32;
  spec.intermediate = 48;
  spec.heads = 4;
  spec.kv_heads = 2;
  spec.head_dim = 16;
  spec.context_max = 256;
  spec.query_scale = 0.25f;
  spec.tied_head = true;
  spec.rope.rotary_dim = 16;
  spec.layers.resize(1);
  return spec;
}

DecoderWeights random_weights(const DecoderSpec& spec, tensor::Backend& backend) {
  const auto matrix = [&](std::int64_t rows, std::int64_t cols) {
    return backend.pack(RandomRows(rows, cols), {kernels::WeightKind::kF32, 0}).value();
  };
  const auto ones = std::vector<float>(static_cast<std::size_t>(spec.hidden), 1.0f);
  DecoderWeights weights;
  weights.embedding = matrix(spec.vocabulary, spec.hidden);
  weights.final_norm = ones;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    auto& layer = weights.layers.emplace_back();
    layer.attention_norm = layer.mlp_norm = ones;
    layer.qkv = matrix((spec.heads + 2 * spec.kv_heads) * spec.head_dim, spec.hidden);
    layer.o = matrix(spec.hidden, spec.heads * spec.head_dim);
    layer.gate_up = matrix(2 * spec.intermediate, spec.hidden);
    layer.down = matrix(spec.hidden, spec.intermediate);
  }
  return weights;
}

constexpr model::StepLimits kLimits{.tokens_max = 64,
                                    .sequences_max = 2,
                                    .logit_rows_max = 2,
                                    .context_max = 64,
                                    .page_size = 16,
                                    .pages = 8,
                                    .kv_dtype = tensor::DType::kF32};

class DecoderTest : public ::testing::Test {
 protected:
  // Logits after the last of `tokens`, in a fresh decoder.
  std::vector<float> last_logits(const DecoderSpec& spec, std::span<const std::int32_t> tokens) {
    model::Decoder decoder(spec, random_weights(spec, *backend_), *backend_);
    EXPECT_TRUE(decoder.reserve(kLimits));
    const auto count = static_cast<std::int32_t>(tokens.size());
    std::vector<std::int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), 0);
    const std::int32_t offsets[] = {0, count}, pages[] = {0, 1, 2, 3}, page_offsets[] = {0, 4};
    const std::int32_t lengths[] = {count}, rows[] = {count - 1};
    const auto logits = decoder.forward({.tokens = tokens,
                                         .positions = positions,
                                         .slots = positions,
                                         .sequence_offsets = offsets,
                                         .context_lengths = lengths,
                                         .pages = pages,
                                         .page_offsets = page_offsets,
                                         .logit_rows = rows});
    return {logits.row<float>(0), logits.row<float>(0) + logits.cols};
  }
  static double distance(const std::vector<float>& a, const std::vector<float>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max<double>(most, std::abs(a[i] - b[i]));
    return most;
  }

  std::unique_ptr<tensor::Backend> backend_ =
      tensor::make_cpu_backend({.threads = 2, .isa = ""}).value();
  const std::vector<std::int32_t> text_ = {4, 9, 20, 31, 42, 7};
  const std::vector<std::int32_t> shuffled_ = {31, 4, 42, 9, 20, 7};  // the same last token
};

TEST_F(DecoderTest, ALayerWithoutRotationSeesNoOrder) {
  DecoderSpec spec = small_spec();
  EXPECT_GT(distance(last_logits(spec, text_), last_logits(spec, shuffled_)), 1e-2);
  spec.layers[0].rope = false;
  EXPECT_LT(distance(last_logits(spec, text_), last_logits(spec, shuffled_)), 1e-5);
}

TEST_F(DecoderTest, AWindowHidesWhatLiesBefore) {
  DecoderSpec spec = small_spec();
  const std::vector<std::int32_t> other = {11, 12, 20, 31, 42, 7};  // the first two differ
  EXPECT_GT(distance(last_logits(spec, text_), last_logits(spec, other)), 1e-3);
  spec.layers[0].window = 4;
  EXPECT_EQ(distance(last_logits(spec, text_), last_logits(spec, other)), 0);
}

TEST_F(DecoderTest, SoftcapAndInterleavedPairsAreObeyed) {
  const DecoderSpec plain = small_spec();
  DecoderSpec capped = plain, interleaved = plain;
  capped.attention_softcap = 0.1f;
  interleaved.rope_interleaved = true;
  const auto logits = last_logits(plain, text_);
  EXPECT_GT(distance(logits, last_logits(capped, text_)), 1e-3);
  EXPECT_GT(distance(logits, last_logits(interleaved, text_)), 1e-3);
}

TEST_F(DecoderTest, SizesAreKnownBefore) {
  const DecoderSpec spec = small_spec();
  const model::Decoder decoder(spec, random_weights(spec, *backend_), *backend_);
  // keys and values, 2 heads of 16, 16 slots, one layer
  EXPECT_EQ(decoder.page_bytes(16, tensor::DType::kBF16), 2 * 2 * 16 * 16 * 2);
  // at least residual, normed, gate_up, gated of 64 tokens and the logits
  const std::int64_t least = 4 * (64 * (32 + 32 + 96 + 48) + 2 * 50);
  EXPECT_GE(decoder.step_bytes(kLimits), least);
}

TEST(DecoderMemory, RegionsThatAreUsedTogetherDoNotOverlap) {
  const DecoderSpec spec = small_spec();
  const std::size_t size = model::activation_bytes(spec, kLimits);
  auto memory = tensor::Buffer::allocate(size).value();
  const auto a = model::place_activations(spec, kLimits, memory.data());
  const auto check = [&](std::vector<tensor::Tensor> used) {
    std::ranges::sort(used, {}, &tensor::Tensor::data);
    std::byte* end = memory.data();
    for (const auto& t : used) {
      EXPECT_GE(t.data, end);
      end = t.data + t.rows * t.row_stride * 4;
    }
    EXPECT_LE(end, memory.data() + size);
  };
  check({a.residual, a.cosines, a.sines, a.ones, a.zeros, a.qkv, a.attended, a.last, a.logits});
  check({a.residual, a.cosines, a.sines, a.ones, a.zeros, a.gate_up, a.last, a.logits});
}

}  // namespace
}  // namespace vsurge::testing
