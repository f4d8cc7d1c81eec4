#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vsurge::model {
namespace {

using base::ErrorCode;

// All steps below are in float where transformers has float tensors, and in double where it has
// Python numbers.

float inverse_frequency(double theta, float exponent) {
  return 1.0f / std::pow(static_cast<float>(theta), exponent);
}

// Blends by wavelength: how often it fits into the original context.
float llama3_frequency(const RopeConfig& config, float inverse) {
  const double context = config.original_context;
  const auto factor = static_cast<float>(config.factor);
  const float wavelength = static_cast<float>(2 * std::numbers::pi) / inverse;
  if (wavelength > static_cast<float>(context / config.low_freq_factor)) return inverse / factor;
  if (wavelength < static_cast<float>(context / config.high_freq_factor)) return inverse;
  const float smooth =
      (static_cast<float>(context) / wavelength - static_cast<float>(config.low_freq_factor)) /
      static_cast<float>(config.high_freq_factor - config.low_freq_factor);
  return (1 - smooth) * inverse / factor + smooth * inverse;
}

// The dimension whose frequency makes `turns` turns within the original context.
double yarn_dimension(const RopeConfig& config, double turns) {
  return config.rotary_dim * std::log(config.original_context / (turns * 2 * std::numbers::pi)) /
         (2 * std::log(config.theta));
}

// From the frequency itself in low dimensions to frequency / factor in high ones.
void apply_yarn(const RopeConfig& config, std::vector<float>& inverse) {
  double low = yarn_dimension(config, config.beta_fast);
  double high = yarn_dimension(config, config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, config.rotary_dim - 1.0);
  if (low == high) high += 0.001;  // no division by zero
  for (std::size_t i = 0; i < inverse.size(); ++i) {
    const float place =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float keep = 1 - std::clamp(place, 0.0f, 1.0f);
    const float interpolated = 1.0f / (static_cast<float>(config.factor) * (1.0f / inverse[i]));
    inverse[i] = interpolated * (1 - keep) + inverse[i] * keep;
  }
}

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double attention_factor_of(const RopeConfig& config) {
  if (config.kind != RopeKind::kYarn) return 1.0;
  if (config.attention_factor) return *config.attention_factor;
  const double all = config.mscale_all_dim.value_or(0), one = config.mscale.value_or(0);
  if (one != 0 && all != 0) {
    return yarn_mscale(config.factor, one) / yarn_mscale(config.factor, all);
  }
  return yarn_mscale(config.factor, 1);
}

// Theta of kDynamic for a sequence of `length` tokens.
double dynamic_theta(const RopeConfig& config, int length) {
  const double grown = config.factor * std::max(length, config.context_max) / config.context_max -
                       (config.factor - 1);
  return config.theta *
         std::pow(grown, static_cast<double>(config.rotary_dim) / (config.rotary_dim - 2));
}

base::Status require(bool holds, const char* field) {
  if (holds) return {};
  return base::fail(ErrorCode::kBadModel, "RoPE: {} is out of range", field);
}

bool positive(double value) {
  return std::isfinite(value) && value > 0;
}

}  // namespace

base::Status validate(const RopeConfig& config) {
  VSURGE_TRY(require(std::isfinite(config.theta) && config.theta > 1, "rope_theta"));
  VSURGE_TRY(require(config.rotary_dim >= 2 && config.rotary_dim % 2 == 0, "rotary dimension"));
  VSURGE_TRY(require(config.divisors.empty() ||
                         config.divisors.size() == static_cast<std::size_t>(config.rotary_dim) / 2,
                     "number of frequency divisors"));
  VSURGE_TRY(require(std::ranges::all_of(config.divisors, positive), "a frequency divisor"));
  VSURGE_TRY(require(positive(config.attention_factor.value_or(1)), "attention_factor"));
  if (config.kind == RopeKind::kDefault) return {};
  VSURGE_TRY(require(positive(config.factor), "factor"));
  if (config.kind == RopeKind::kDynamic) {
    VSURGE_TRY(require(config.rotary_dim > 2, "rotary dimension"));
    VSURGE_TRY(require(config.factor >= 1, "factor"));
    return require(config.context_max > 0, "max_position_embeddings");
  }
  if (config.kind == RopeKind::kLinear) return {};
  VSURGE_TRY(require(config.original_context > 0, "original_max_position_embeddings"));
  if (config.kind == RopeKind::kLlama3) {
    VSURGE_TRY(require(positive(config.low_freq_factor), "low_freq_factor"));
    return require(
        std::isfinite(config.high_freq_factor) && config.high_freq_factor > config.low_freq_factor,
        "high_freq_factor");
  }
  VSURGE_TRY(require(positive(config.beta_fast), "beta_fast"));
  VSURGE_TRY(require(positive(config.beta_slow), "beta_slow"));
  VSURGE_TRY(require(std::isfinite(config.mscale.value_or(1)), "mscale"));
  return require(std::isfinite(config.mscale_all_dim.value_or(1)), "mscale_all_dim");
}

Rope::Rope(RopeConfig config) : config_(std::move(config)) {
  CHECK(validate(config_).has_value(), "the checkpoint's reader must have refused it");
  const int pairs = config_.rotary_dim / 2;
  for (int i = 0; i < pairs; ++i) {
    exponents_.push_back(static_cast<float>(2 * i) / static_cast<float>(config_.rotary_dim));
    inverse_frequencies_.push_back(inverse_frequency(config_.theta, exponents_.back()));
  }
  for (float& inverse : inverse_frequencies_) {
    if (config_.kind == RopeKind::kLinear) inverse /= static_cast<float>(config_.factor);
    if (config_.kind == RopeKind::kLlama3) inverse = llama3_frequency(config_, inverse);
  }
  if (config_.kind == RopeKind::kYarn) apply_yarn(config_, inverse_frequencies_);
  for (std::size_t i = 0; i < config_.divisors.size(); ++i) {
    inverse_frequencies_[i] /= config_.divisors[i];
  }
  attention_factor_ = static_cast<float>(attention_factor_of(config_));
}

void Rope::angles(std::span<const std::int32_t> positions, tensor::Tensor cosines,
                  tensor::Tensor sines) const {
  const std::size_t pairs = inverse_frequencies_.size();
  for (std::size_t t = 0; t < positions.size(); ++t) {
    float* cosine = cosines.row<float>(static_cast<std::int64_t>(t));
    float* sine = sines.row<float>(static_cast<std::int64_t>(t));
    const int position = positions[t];
    const bool grows = config_.kind == RopeKind::kDynamic && position >= config_.context_max;
    const double theta = grows ? dynamic_theta(config_, position + 1) : config_.theta;
    for (std::size_t i = 0; i < pairs; ++i) {
      const float inverse =
          grows ? inverse_frequency(theta, exponents_[i]) : inverse_frequencies_[i];
      const float angle = static_cast<float>(position) * inverse;
      cosine[i] = std::cos(angle) * attention_factor_;
      sine[i] = std::sin(angle) * attention_factor_;
    }
  }
}

}  // namespace vsurge::model
