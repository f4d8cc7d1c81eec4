// RoPE out of config.json (old and new keys) and of GGUF metadata.
//
// Keys and defaults: transformers' modeling_rope_utils; ggml's docs/gguf.md.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "model/families/family.h"
#include "model/load_rows.h"

namespace vsurge::model {
namespace {

using base::Result;

constexpr double kThetaDefault = 10'000;
constexpr NumberRange kTheta = {.min = 1.000001, .max = 1e12};
constexpr NumberRange kFactor = {.min = 1e-3, .max = 1e6};
constexpr NumberRange kTurns = {.min = 1e-3, .max = 1e6};
constexpr NumberRange kScale = {.min = 1e-6, .max = 1e6};
constexpr IntegerRange kContext = {.min = 1, .max = 1 << 24};

Result<RopeKind> kind_of(const ConfigObject& keys) {
  constexpr std::array<std::pair<std::string_view, RopeKind>, 5> kKinds = {
      {{"default", RopeKind::kDefault},
       {"linear", RopeKind::kLinear},
       {"dynamic", RopeKind::kDynamic},
       {"llama3", RopeKind::kLlama3},
       {"yarn", RopeKind::kYarn}}};
  const char* key = keys.has("rope_type") ? "rope_type" : "type";
  const auto name = VSURGE_TRY(keys.text(key)).value_or("default");
  for (const auto& [known, kind] : kKinds) {
    if (known == name) return kind;
  }
  return keys.wrong(key, "default, linear, dynamic, llama3 or yarn");
}

// One of the two forms, or nothing; both are refused unless the old one is empty.
Result<std::optional<ConfigObject>> scaling_keys(const ConfigObject& config) {
  const auto parameters = VSURGE_TRY(config.object("rope_parameters"));
  const auto scaling = VSURGE_TRY(config.object("rope_scaling"));
  if (parameters && scaling) {
    return config.wrong("rope_scaling", "nothing beside rope_parameters");
  }
  return parameters ? parameters : scaling;
}

Result<double> theta_of(const ConfigObject& config, const std::optional<ConfigObject>& keys) {
  const auto outer = VSURGE_TRY(config.number("rope_theta", kTheta));
  const auto inner = keys ? VSURGE_TRY(keys->number("rope_theta", kTheta)) : std::nullopt;
  if (outer && inner && *outer != *inner) {
    return config.wrong("rope_theta", fmt::format("that of rope_parameters ({})", *inner));
  }
  return inner.value_or(outer.value_or(kThetaDefault));
}

base::Status read_llama3(const ConfigObject& keys, RopeConfig& rope) {
  rope.low_freq_factor =
      VSURGE_TRY(required(keys, "low_freq_factor", keys.number("low_freq_factor", kFactor)));
  rope.high_freq_factor =
      VSURGE_TRY(required(keys, "high_freq_factor", keys.number("high_freq_factor", kFactor)));
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    return keys.wrong("high_freq_factor", "more than low_freq_factor");
  }
  return {};
}

base::Status read_yarn(const ConfigObject& keys, RopeConfig& rope) {
  rope.beta_fast = VSURGE_TRY(keys.number("beta_fast", kTurns)).value_or(rope.beta_fast);
  rope.beta_slow = VSURGE_TRY(keys.number("beta_slow", kTurns)).value_or(rope.beta_slow);
  rope.truncate = VSURGE_TRY(keys.boolean("truncate")).value_or(true);
  rope.mscale = VSURGE_TRY(keys.number("mscale", {.min = 0, .max = 1e6}));
  rope.mscale_all_dim = VSURGE_TRY(keys.number("mscale_all_dim", {.min = 0, .max = 1e6}));
  rope.attention_factor = VSURGE_TRY(keys.number("attention_factor", kScale));
  return {};
}

base::Status no_partial_rotation(const ConfigObject& keys) {
  const auto part = VSURGE_TRY(keys.number("partial_rotary_factor", {}));
  if (part.value_or(1) != 1) return keys.wrong("partial_rotary_factor", "1");
  return {};
}

// Positions that the scaling makes usable. Kinds that stretch the original context multiply it;
// with llama3, max_position_embeddings is the stretched one already.
int context_after(const RopeConfig& rope) {
  double context = rope.context_max;
  if (rope.kind == RopeKind::kLinear || rope.kind == RopeKind::kDynamic) context *= rope.factor;
  if (rope.kind == RopeKind::kYarn) {
    context = std::max(context, rope.original_context * rope.factor);
  }
  return static_cast<int>(std::clamp<double>(context, 1, static_cast<double>(kContext.max)));
}

}  // namespace

base::Status read_rope_config(const ConfigObject& config, DecoderSpec& spec) {
  RopeConfig& rope = spec.rope;
  rope.rotary_dim = spec.head_dim;
  rope.context_max = static_cast<int>(VSURGE_TRY(required(
      config, "max_position_embeddings", config.integer("max_position_embeddings", kContext))));
  spec.context_max = rope.context_max;
  const auto keys = VSURGE_TRY(scaling_keys(config));
  rope.theta = VSURGE_TRY(theta_of(config, keys));
  VSURGE_TRY(no_partial_rotation(config));
  if (!keys) return {};
  VSURGE_TRY(no_partial_rotation(*keys));
  rope.kind = VSURGE_TRY(kind_of(*keys));
  if (rope.kind == RopeKind::kDefault) return {};
  const auto original = VSURGE_TRY(keys->integer("original_max_position_embeddings", kContext));
  const auto outer = VSURGE_TRY(config.integer("original_max_position_embeddings", kContext));
  rope.original_context = static_cast<int>(outer.value_or(original.value_or(rope.context_max)));
  const auto factor = VSURGE_TRY(keys->number("factor", kFactor));
  if (!factor && rope.kind == RopeKind::kYarn) {
    rope.factor = static_cast<double>(rope.context_max) / rope.original_context;
  } else {
    rope.factor = VSURGE_TRY(required(*keys, "factor", keys->number("factor", kFactor)));
  }
  if (rope.kind == RopeKind::kDynamic && rope.factor < 1) {
    return keys->wrong("factor", "at least 1");
  }
  if (rope.kind == RopeKind::kLlama3) VSURGE_TRY(read_llama3(*keys, rope));
  if (rope.kind == RopeKind::kYarn) VSURGE_TRY(read_yarn(*keys, rope));
  spec.context_max = context_after(rope);
  return {};
}

namespace {

// rope_freqs.weight: what every frequency is divided by (Llama 3's scaling, computed at
// conversion).
base::Status read_divisors(const Checkpoint& checkpoint, DecoderSpec& spec) {
  const TensorInfo* tensor = checkpoint.find("rope_freqs.weight");
  if (tensor == nullptr) return {};
  const std::int64_t pairs = spec.rope.rotary_dim / 2;
  const bool plain = type_info(tensor->type).block_values == 1;
  if (tensor->elements() != pairs || tensor->shape.size() != 1 || !plain) {
    return base::fail(base::ErrorCode::kBadModel,
                      "{}: tensor rope_freqs.weight: expected [{}], found {} of {}",
                      checkpoint.file_name(*tensor), pairs, shape_text(tensor->shape),
                      type_info(tensor->type).name);
  }
  if (checkpoint.bytes(*tensor).empty()) {
    return base::fail(base::ErrorCode::kBadModel,
                      "{}: tensor rope_freqs.weight: its bytes are not there",
                      checkpoint.file_name(*tensor));
  }
  spec.rope.divisors.resize(static_cast<std::size_t>(pairs));
  tensor_rows(tensor->type, checkpoint.bytes(*tensor), 1, pairs)
      ->read_floats(0, spec.rope.divisors.data());
  for (const float divisor : spec.rope.divisors) {
    if (std::isfinite(divisor) && divisor > 0) continue;
    return base::fail(base::ErrorCode::kBadModel,
                      "{}: tensor rope_freqs.weight: expected positive numbers, found {}",
                      checkpoint.file_name(*tensor), divisor);
  }
  spec.ignored_tensors.emplace_back("rope_freqs.weight");  // read here already
  return {};
}

Result<RopeKind> gguf_kind(const GgufFile& file, const std::string& key) {
  const auto name = VSURGE_TRY(file.text(key)).value_or("none");
  if (name == "none") return RopeKind::kDefault;
  if (name == "linear") return RopeKind::kLinear;
  if (name == "yarn") return RopeKind::kYarn;
  return file.wrong(key, "none, linear or yarn");
}

}  // namespace

base::Status read_rope_gguf(const Checkpoint& checkpoint, const std::string& prefix,
                            DecoderSpec& spec) {
  const GgufFile& file = *checkpoint.gguf();
  RopeConfig& rope = spec.rope;
  const std::string dimension_key = prefix + "rope.dimension_count";
  const auto dimensions = VSURGE_TRY(file.integer(dimension_key, {.min = 2, .max = 1 << 16}));
  if (dimensions.value_or(spec.head_dim) != spec.head_dim) {
    return file.wrong(dimension_key, fmt::format("the size of a head, {}", spec.head_dim));
  }
  rope.rotary_dim = spec.head_dim;
  const std::string context_key = prefix + "context_length";
  rope.context_max = static_cast<int>(
      VSURGE_TRY(required(file, context_key, file.integer(context_key, kContext))));
  rope.theta = VSURGE_TRY(file.number(prefix + "rope.freq_base", kTheta)).value_or(kThetaDefault);
  const std::string scaling = prefix + "rope.scaling.";
  rope.kind = VSURGE_TRY(gguf_kind(file, scaling + "type"));
  const auto factor = VSURGE_TRY(file.number(scaling + "factor", kFactor));
  const auto old_factor = VSURGE_TRY(file.number(prefix + "rope.scale_linear", kFactor));
  if (!file.has(scaling + "type") && old_factor.value_or(1) != 1) rope.kind = RopeKind::kLinear;
  rope.factor = factor.value_or(old_factor.value_or(1));
  rope.original_context =
      static_cast<int>(VSURGE_TRY(file.integer(scaling + "original_context_length", kContext))
                           .value_or(rope.context_max));
  if (rope.kind == RopeKind::kYarn) {
    rope.beta_fast =
        VSURGE_TRY(file.number(scaling + "yarn_beta_fast", kTurns)).value_or(rope.beta_fast);
    rope.beta_slow =
        VSURGE_TRY(file.number(scaling + "yarn_beta_slow", kTurns)).value_or(rope.beta_slow);
    // A factor on top of what the kind gives by itself.
    const auto attention = VSURGE_TRY(file.number(scaling + "attn_factor", kScale)).value_or(1);
    if (attention != 1) {
      rope.attention_factor = attention * (1 + 0.1 * std::log(std::max(rope.factor, 1.0)));
    }
  }
  spec.context_max = rope.kind == RopeKind::kDefault ? rope.context_max : context_after(rope);
  return read_divisors(checkpoint, spec);
}

}  // namespace vsurge::model
