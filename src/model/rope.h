// Rotary position embedding: its frequencies of all kinds, and the cosines and sines of a step.
//
// Kinds and their numbers are those of Hugging Face transformers (modeling_rope_utils): float
// inverse frequencies times a float position, then cosine and sine.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace vsurge::model {

enum class RopeKind : std::uint8_t {
  kDefault,  // theta^(-2i / rotary_dim)
  kLinear,   // divided by `factor`
  kDynamic,  // theta grows with the position from `context_max` on (see Rope)
  kLlama3,   // low frequencies divided by `factor`, high ones kept, blended between
  kYarn,     // the same by number of turns within the original context; attention factor
};

struct RopeConfig {
  RopeKind kind = RopeKind::kDefault;
  double theta = 10'000;
  int rotary_dim = 0;  // of head_dim; even
  double factor = 1;
  int context_max = 0;       // max_position_embeddings; kDynamic
  int original_context = 0;  // original_max_position_embeddings; kLlama3, kYarn
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double beta_fast = 32;
  double beta_slow = 1;
  bool truncate = true;  // kYarn: whole dimensions as the ends of the ramp
  std::optional<double> mscale = {};
  std::optional<double> mscale_all_dim = {};
  std::optional<double> attention_factor = {};  // kYarn; absent: 0.1 ln(factor) + 1, or by mscale
  // GGUF's rope_freqs: every frequency is divided by its own; empty or [rotary_dim / 2].
  std::vector<float> divisors = {};
};

// Whether the numbers of a checkpoint make sense; kBadModel names the field that does not.
base::Status validate(const RopeConfig& config);

// Frequencies, ready for use. Immutable.
//
// Kind kDynamic is a function of the position alone: position p is turned with the frequencies
// that transformers has when its sequence is p + 1 long, which is what it computes when a text
// grows token by token. (Given a long prompt at once, transformers turns all of it with the
// frequencies of the whole length; then the same text has other numbers by how it was cut.)
class Rope {
 public:
  explicit Rope(RopeConfig config);  // must be valid

  // cosines, sines: [positions, rotary_dim / 2], attention factor included.
  void angles(std::span<const std::int32_t> positions, tensor::Tensor cosines,
              tensor::Tensor sines) const;

  // [rotary_dim / 2]; kDynamic: of positions below context_max
  std::span<const float> inverse_frequencies() const { return inverse_frequencies_; }
  float attention_factor() const { return attention_factor_; }

 private:
  RopeConfig config_;
  std::vector<float> inverse_frequencies_;
  std::vector<float> exponents_;  // 2i / rotary_dim
  float attention_factor_ = 1;
};

}  // namespace vsurge::model
