#include "facade/load_plan.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace vsurge::facade {
namespace {

using base::ErrorCode;
using base::fail;

constexpr int kDevices = 1;
constexpr std::array<std::string_view, 5> kAxes = {"dp", "fsdp", "ep", "tp", "sp"};

base::Status check_sharding(const std::array<int, 5>& dims) {
  int product = 1;
  int wildcards = 0;
  for (const int size : dims) {
    if (size == -1) {
      ++wildcards;
    } else if (size < 1 || size > 4096) {
      return fail(ErrorCode::kUsage,
                  "sharding_axis_dims: expected sizes of at least 1, or one -1, found {}", size);
    } else {
      product *= std::min(size, 4096);
      if (product > 1 << 24) break;
    }
  }
  if (wildcards > 1) {
    return fail(ErrorCode::kUsage, "sharding_axis_dims: expected at most one -1, found {}",
                wildcards);
  }
  if (product != kDevices) {
    return fail(ErrorCode::kUsage,
                "sharding_axis_dims: expected a product of {} (the devices at hand), found {}",
                kDevices, product);
  }
  return {};
}

base::Status check_axis(std::string_view field, std::string_view axis) {
  if (std::ranges::find(kAxes, axis) != kAxes.end()) return {};
  return fail(ErrorCode::kUsage,
              "partition_axis.{}: expected one of dp, fsdp, ep, tp, sp, found '{}'", field, axis);
}

base::Status check_partition(const PartitionAxis& axis) {
  for (const auto& name : axis.batch_axis) VSURGE_TRY(check_axis("batch_axis", name));
  VSURGE_TRY(check_axis("sequence_axis", axis.sequence_axis));
  VSURGE_TRY(check_axis("query_sequence_axis", axis.query_sequence_axis));
  VSURGE_TRY(check_axis("head_axis", axis.head_axis));
  VSURGE_TRY(check_axis("key_sequence_axis", axis.key_sequence_axis));
  VSURGE_TRY(check_axis("hidden_state_axis", axis.hidden_state_axis));
  VSURGE_TRY(check_axis("mlp_intermediate_axis", axis.mlp_intermediate_axis));
  VSURGE_TRY(check_axis("vocab_axis", axis.vocab_axis));
  VSURGE_TRY(check_axis("expert_axis", axis.expert_axis));
  return {};
}

base::Status check_config(const EasyDeLBaseConfigDict& config) {
  if (config.kv_cache_quantization_method == EasyDeLQuantizationMethods::NF4 ||
      config.kv_cache_quantization_method == EasyDeLQuantizationMethods::INT4) {
    return fail(ErrorCode::kUsage, "kv_cache_quantization_method: expected NONE or A8BIT");
  }
  if (config.gradient_checkpointing != EasyDeLGradientCheckPointers::NONE) {
    return fail(ErrorCode::kUsage,
                "gradient_checkpointing: expected NONE; this library does not train");
  }
  switch (config.attn_mechanism) {
    case AttentionMechanisms::AUTO:
    case AttentionMechanisms::RAGGED_PAGE_ATTENTION:
    case AttentionMechanisms::PAGED_ATTENTION:
      return {};
    default:
      return fail(ErrorCode::kUsage,
                  "attn_mechanism: expected AUTO, RAGGED_PAGE_ATTENTION or PAGED_ATTENTION (one "
                  "mechanism: attention over ragged pages)");
  }
}

base::Result<std::optional<int>> context_of(const EasyDeLBaseConfigDict& config) {
  std::optional<int> longest;
  const auto take = [&](const char* field, std::optional<int> value) -> base::Status {
    if (!value) return {};
    if (*value < 1) {
      return fail(ErrorCode::kUsage, "{}: expected at least 1, found {}", field, *value);
    }
    longest = longest ? std::min(*longest, *value) : *value;
    return {};
  };
  VSURGE_TRY(take("freq_max_position_embeddings", config.freq_max_position_embeddings));
  VSURGE_TRY(take("mask_max_position_embeddings", config.mask_max_position_embeddings));
  return longest;
}

model::WeightChoice choice_of(EasyDeLQuantizationMethods method) {
  switch (method) {
    case EasyDeLQuantizationMethods::A8BIT:
      return model::WeightChoice::kI8;
    case EasyDeLQuantizationMethods::NF4:
      return model::WeightChoice::kNF4;
    case EasyDeLQuantizationMethods::INT4:
      return model::WeightChoice::kI4;
    case EasyDeLQuantizationMethods::NONE:
      break;
  }
  return model::WeightChoice::kAuto;
}

// Weights and arithmetic. Floats are computed in the type they are stored in; a wider type of
// storage than of arithmetic gains nothing and costs memory, so the narrower one is kept.
base::Result<model::WeightChoice> weights_of(const PretrainedOptions& options) {
  if (options.dtype == Dtype::FLOAT16 || options.param_dtype == Dtype::FLOAT16) {
    return fail(ErrorCode::kUsage,
                "{}: expected BFLOAT16, FLOAT32 or AUTO; the CPU kernels have no float16 "
                "arithmetic (float16 checkpoints are read)",
                options.dtype == Dtype::FLOAT16 ? "dtype" : "param_dtype");
  }
  if (options.dtype == Dtype::FLOAT32 && options.param_dtype == Dtype::BFLOAT16) {
    return fail(ErrorCode::kUsage,
                "param_dtype: BFLOAT16 weights under dtype FLOAT32 are not served; give both the "
                "same");
  }
  if (options.quantization_method != EasyDeLQuantizationMethods::NONE) {
    return choice_of(options.quantization_method);
  }
  const Dtype arithmetic = options.dtype == Dtype::AUTO ? options.param_dtype : options.dtype;
  if (arithmetic == Dtype::FLOAT32) return model::WeightChoice::kF32;
  if (arithmetic == Dtype::BFLOAT16) return model::WeightChoice::kBF16;
  return model::WeightChoice::kAuto;
}

base::Status check_precision(const PretrainedOptions& options) {
  if (options.precision == Precision::DEFAULT || options.dtype == Dtype::FLOAT32) return {};
  return fail(ErrorCode::kUsage,
              "precision: HIGH and HIGHEST are float32 arithmetic; give dtype FLOAT32 with them");
}

base::Result<tensor::DType> kv_dtype_of(const PretrainedOptions& options) {
  if (options.config_kwargs.kv_cache_quantization_method == EasyDeLQuantizationMethods::A8BIT) {
    if (options.config_kwargs.kvdtype != Dtype::AUTO) {
      return fail(ErrorCode::kUsage,
                  "kvdtype: expected AUTO together with kv_cache_quantization_method A8BIT");
    }
    return tensor::DType::kI8;
  }
  switch (options.config_kwargs.kvdtype) {
    case Dtype::FLOAT16:
      return fail(ErrorCode::kUsage, "kvdtype: expected BFLOAT16, FLOAT32 or AUTO");
    case Dtype::FLOAT32:
      return tensor::DType::kF32;
    case Dtype::BFLOAT16:
      return tensor::DType::kBF16;
    case Dtype::AUTO:
      break;
  }
  return options.dtype == Dtype::FLOAT32 ? tensor::DType::kF32 : tensor::DType::kBF16;
}

}  // namespace

base::Result<LoadPlan> plan_load(const PretrainedOptions& options) {
  VSURGE_TRY(check_sharding(options.sharding_axis_dims));
  VSURGE_TRY(check_partition(options.partition_axis));
  VSURGE_TRY(check_config(options.config_kwargs));
  VSURGE_TRY(check_precision(options));
  if (options.threads < 0 || options.threads > 1024) {
    return fail(ErrorCode::kUsage, "threads: expected 0 to 1024, found {}", options.threads);
  }
  LoadPlan plan;
  plan.weights = VSURGE_TRY(weights_of(options));
  if (options.head_quantization_method) {
    plan.head = choice_of(*options.head_quantization_method);
    if (plan.weights == model::WeightChoice::kF32 && plan.head != model::WeightChoice::kAuto) {
      return fail(ErrorCode::kUsage, "head_quantization_method: expected NONE with dtype FLOAT32");
    }
  }
  plan.kv_dtype = VSURGE_TRY(kv_dtype_of(options));
  plan.context_max = VSURGE_TRY(context_of(options.config_kwargs));
  return plan;
}

}  // namespace vsurge::facade
