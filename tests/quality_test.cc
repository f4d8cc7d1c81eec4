// The default model answers as it should. Deviation from transformers is measured by
// `./dev bench quality`.
#include <gtest/gtest.h>

#include "base/test_data.h"
#include "golden_runner.h"

namespace vsurge::testing {
namespace {

// <|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face
// <|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n
constexpr std::int32_t kQuestion[] = {1,    9690, 198,   2683, 359,  253,  5356, 5646,  11173, 3365,
                                      3511, 308,  34519, 28,   7018, 411,  407,  19712, 8182,  2,
                                      198,  1,    4093,  198,  1780, 314,  260,  3575,  282,   4649,
                                      47,   2,    198,   1,    520,  9531, 198};
// "The capital of France is Paris.<|im_end|>"
const std::vector<std::int32_t> kAnswer = {504, 3575, 282, 4649, 314, 7042, 30, 2};

class QualityTest : public ::testing::TestWithParam<model::WeightChoice> {};

TEST_P(QualityTest, TheCapitalOfFranceIsParis) {
  const auto path = base::default_model_path();
  if (!path) GTEST_SKIP() << base::default_model_missing();
  auto runner = ModelRunner::open(*path, {.weights = GetParam(),
                                          .kv_dtype = tensor::DType::kBF16,
                                          .tokens_max = 64,
                                          .sequences_max = 1,
                                          .context_max = 128});
  ASSERT_TRUE(runner) << runner.error().message;
  EXPECT_EQ(runner->greedy(kQuestion, static_cast<int>(kAnswer.size())), kAnswer);
}

INSTANTIATE_TEST_SUITE_P(, QualityTest,
                         ::testing::Values(model::WeightChoice::kAuto, model::WeightChoice::kBF16,
                                           model::WeightChoice::kI8));

}  // namespace
}  // namespace vsurge::testing
