// GGUF keys that change what a model computes, and that no family here reads: a file where one has
// another than its neutral value is refused.
//
// Keys: llama.cpp's list (gguf-py/gguf/constants.py), ggml's docs/gguf.md.
#include <array>
#include <cmath>
#include <string>

#include "model/families/family.h"

namespace vsurge::model {
namespace {

struct NumberKey {
  std::string_view suffix;
  double neutral;
  double unset;  // what writers put for "not set"
};

constexpr NumberKey kNumbers[] = {
    {"attention.clamp_kqv", 0, 0},
    {"attention.max_alibi_bias", 0, 0},
    {"attention.output_scale", 0, 1},
    {"attention.shared_kv_layers", 0, 0},
    {"attention.temperature_scale", 0, 0},
    {"attn_logit_softcapping", 0, 0},
    {"embedding_scale", 1, 0},
    {"expert_count", 0, 0},
    {"final_logit_softcapping", 0, 0},
    {"logit_scale", 1, 0},
    {"nextn_predict_layers", 0, 0},
    {"residual_scale", 1, 0},
    {"rope.scaling.alpha", 0, 0},
    {"rope.scaling.yarn_attn_factor", 1, 1},
    {"rope.scaling.yarn_log_multiplier", 0, 0},
};

struct FlagKey {
  std::string_view suffix;
  bool neutral;
};

constexpr FlagKey kFlags[] = {
    {"attention.causal", true}, {"swin_norm", false}, {"use_parallel_residual", false}};

// Any value at all is one too many.
constexpr std::string_view kUnknown[] = {"attention.sliding_window_pattern",
                                         "rope.dimension_sections", "rope.freq_base_swa"};

// What depends on what else the file says.
base::Status check_scales(const GgufFile& file, const std::string& prefix,
                          const DecoderSpec& spec) {
  const std::string scale_key = prefix + "attention.scale";
  const double scale = VSURGE_TRY(file.number(scale_key, {})).value_or(0);
  const auto usual = static_cast<double>(spec.query_scale);
  if (scale != 0 && std::abs(scale - usual) > 1e-6 * usual) {
    return file.wrong(scale_key, fmt::format("0 or {}", usual));
  }
  const bool yarn = spec.rope.kind == RopeKind::kYarn;
  const std::string ext_key = prefix + "rope.scaling.yarn_ext_factor";
  const double extrapolation = VSURGE_TRY(file.number(ext_key, {})).value_or(-1);
  if (extrapolation >= 0 && extrapolation != (yarn ? 1 : 0)) {  // negative: the kind's own
    return file.wrong(ext_key, yarn ? "1" : "0");
  }
  const std::string factor_key = prefix + "rope.scaling.attn_factor";
  if (!yarn && VSURGE_TRY(file.number(factor_key, {})).value_or(1) != 1) {
    return file.wrong(factor_key, "1, as rope.scaling.type is not yarn");
  }
  const std::string activation_key = prefix + "hidden_activation";
  if (VSURGE_TRY(file.text(activation_key)).value_or("silu") != "silu") {
    return file.wrong(activation_key, "silu");
  }
  return {};
}

}  // namespace

base::Status check_unread_gguf_keys(const GgufFile& file, std::string_view architecture,
                                    const DecoderSpec& spec) {
  const std::string prefix = std::string(architecture) + ".";
  for (const auto& [suffix, neutral, unset] : kNumbers) {
    const std::string key = prefix + std::string(suffix);
    const double value = VSURGE_TRY(file.number(key, {})).value_or(neutral);
    if (value != neutral && value != unset) return file.wrong(key, fmt::format("{}", neutral));
  }
  for (const auto& [suffix, neutral] : kFlags) {
    const std::string key = prefix + std::string(suffix);
    if (VSURGE_TRY(file.boolean(key)).value_or(neutral) != neutral) {
      return file.wrong(key, neutral ? "true" : "false");
    }
  }
  for (const std::string_view suffix : kUnknown) {
    const std::string key = prefix + std::string(suffix);
    if (file.has(key)) return file.wrong(key, "nothing (not supported)");
  }
  return check_scales(file, prefix, spec);
}

base::Status refuse_gguf_window(const Checkpoint& checkpoint, const std::string& key,
                                const DecoderSpec& spec) {
  const GgufFile& file = *checkpoint.gguf();
  const auto window = VSURGE_TRY(file.integer(key, {.min = 0})).value_or(0);
  if (window > 0 && window < spec.context_max) {
    return file.wrong(key, fmt::format("0, or at least the context {}", spec.context_max));
  }
  return {};
}

}  // namespace vsurge::model
