#include "facade/load_plan.h"

#include <gtest/gtest.h>

namespace vsurge::facade {
namespace {

using model::WeightChoice;

std::string error_of(const PretrainedOptions& options) {
  const auto plan = plan_load(options);
  return plan ? "" : plan.error().message;
}

TEST(LoadPlan, DefaultsServeTheCheckpointAsItIs) {
  const auto plan = plan_load({});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->weights, WeightChoice::kAuto);
  EXPECT_EQ(plan->kv_dtype, tensor::DType::kBF16);
  EXPECT_FALSE(plan->context_max);
}

TEST(LoadPlan, ShardingAxisDimsMustMultiplyToTheDevices) {
  PretrainedOptions options;
  for (const auto& dims : {std::array{1, 1, 1, -1, 1}, std::array{1, 1, 1, 1, 1}}) {
    options.sharding_axis_dims = dims;
    EXPECT_TRUE(plan_load(options));
  }
  options.sharding_axis_dims = {1, 2, 1, -1, 1};
  EXPECT_NE(error_of(options).find("product of 1"), std::string::npos);
  options.sharding_axis_dims = {-1, 1, 1, -1, 1};
  EXPECT_NE(error_of(options).find("at most one -1"), std::string::npos);
  options.sharding_axis_dims = {0, 1, 1, 1, 1};
  EXPECT_NE(error_of(options).find("found 0"), std::string::npos);
  options.sharding_axis_dims = {2147483647, 2147483647, 2147483647, 2147483647, 1};
  EXPECT_NE(error_of(options), "");
}

TEST(LoadPlan, PartitionAxisNamesAxes) {
  PretrainedOptions options;
  options.partition_axis.head_axis = "pp";
  EXPECT_NE(error_of(options).find("partition_axis.head_axis"), std::string::npos);
}

TEST(LoadPlan, TypesOfWeightsAndCache) {
  PretrainedOptions options;
  options.dtype = options.param_dtype = Dtype::BFLOAT16;
  EXPECT_EQ(plan_load(options)->weights, WeightChoice::kBF16);
  options.dtype = options.param_dtype = Dtype::FLOAT32;
  EXPECT_EQ(plan_load(options)->weights, WeightChoice::kF32);
  EXPECT_EQ(plan_load(options)->kv_dtype, tensor::DType::kF32);
  options.precision = Precision::HIGHEST;
  EXPECT_TRUE(plan_load(options));
  options.param_dtype = Dtype::BFLOAT16;
  EXPECT_NE(error_of(options).find("param_dtype"), std::string::npos);
  options.param_dtype = Dtype::FLOAT16;
  EXPECT_NE(error_of(options).find("param_dtype"), std::string::npos);
  options = {};
  options.precision = Precision::HIGH;
  EXPECT_NE(error_of(options).find("precision"), std::string::npos);
  options = {};
  options.quantization_method = EasyDeLQuantizationMethods::A8BIT;
  EXPECT_EQ(plan_load(options)->weights, WeightChoice::kI8);
  options.quantization_method = EasyDeLQuantizationMethods::NF4;
  EXPECT_EQ(plan_load(options)->weights, WeightChoice::kNF4);
  options.quantization_method = EasyDeLQuantizationMethods::INT4;
  EXPECT_EQ(plan_load(options)->weights, WeightChoice::kI4);
  EXPECT_EQ(plan_load(options)->head, std::nullopt);
}

TEST(LoadPlan, TheHeadHasAFormatOfItsOwn) {
  PretrainedOptions options;
  options.head_quantization_method = EasyDeLQuantizationMethods::INT4;
  EXPECT_EQ(plan_load(options)->head, WeightChoice::kI4);
  EXPECT_EQ(plan_load(options)->weights, WeightChoice::kAuto);
  options.dtype = Dtype::FLOAT32;
  EXPECT_NE(error_of(options).find("head_quantization_method"), std::string::npos);
  options.head_quantization_method = EasyDeLQuantizationMethods::NONE;
  EXPECT_EQ(plan_load(options)->head, WeightChoice::kAuto);
}

TEST(LoadPlan, ConfigKwargsWorkOrAreRefused) {
  PretrainedOptions options;
  options.config_kwargs.freq_max_position_embeddings = 8192;
  options.config_kwargs.mask_max_position_embeddings = 4096;
  EXPECT_EQ(plan_load(options)->context_max, 4096);
  options.config_kwargs.mask_max_position_embeddings = 0;
  EXPECT_NE(error_of(options).find("mask_max_position_embeddings"), std::string::npos);
  options = {};
  options.config_kwargs.kv_cache_quantization_method = EasyDeLQuantizationMethods::NF4;
  EXPECT_NE(error_of(options).find("kv_cache_quantization_method"), std::string::npos);
  options.config_kwargs.kv_cache_quantization_method = EasyDeLQuantizationMethods::A8BIT;
  EXPECT_EQ(plan_load(options)->kv_dtype, tensor::DType::kI8);
  options.config_kwargs.kvdtype = Dtype::BFLOAT16;
  EXPECT_NE(error_of(options).find("kvdtype"), std::string::npos);
  options = {};
  options.config_kwargs.gradient_checkpointing = EasyDeLGradientCheckPointers::NOTHING_SAVEABLE;
  EXPECT_NE(error_of(options).find("gradient_checkpointing"), std::string::npos);
  options = {};
  options.config_kwargs.attn_mechanism = AttentionMechanisms::RAGGED_PAGE_ATTENTION;
  EXPECT_TRUE(plan_load(options));
  options.config_kwargs.attn_mechanism = AttentionMechanisms::VANILLA;
  EXPECT_NE(error_of(options).find("attn_mechanism"), std::string::npos);
}

}  // namespace
}  // namespace vsurge::facade
