#include "kernels/pack.h"

#include <math.h>

#include "kernels/cpu/half-inl.h"

namespace vsurge::kernels {
namespace {

constexpr float kHalfMax = 65504.0f;
constexpr int kGroupMax = 256;

float clamp(float x, float low, float high) {  // low for NaN
  if (x >= high) return high;
  return x > low ? x : low;
}

void store_code(const PanelRow& to, int64_t k, int32_t code) {
  const int64_t lane = to.lane;
  if (to.kind == WeightKind::kI8 || to.kind == WeightKind::kI8Min) {
    to.panel[(k / 4 * 16 + lane) * 4 + k % 4] = static_cast<uint8_t>(code);
    return;
  }
  uint8_t& byte = to.panel[(k / 8 * 16 + lane) * 4 + k % 4];
  byte = static_cast<uint8_t>(byte | code << (k / 4 % 2 * 4));
}

// Round to nearest even of |x| < 2^22; anything for others. (The library's call is slow without
// SSE 4.1, and this file is for every x86-64.)
float round_small(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23
  const volatile float shifted = x + kMagic;
  return shifted - kMagic;
}

// The scale and minimum that a group of floats gets, before they are rounded to half.
void choose_scale(WeightKind kind, const float* x, int32_t n, float& scale, float& minimum) {
  float low = x[0], high = x[0];
  for (int32_t i = 1; i < n; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
  }
  const float top = -low > high ? -low : high;
  minimum = 0;
  switch (kind) {
    case WeightKind::kI8:
    case WeightKind::kNF4:
      scale = top / 127;
      break;
    case WeightKind::kI4:
      scale = (-low > high ? low : high) / -8;
      break;
    case WeightKind::kI8Min:
      scale = high / 255 - low / 255;
      minimum = low;
      break;
    default:
      scale = high / 15 - low / 15;
      minimum = low;
      break;
  }
  scale = clamp(scale, -kHalfMax, kHalfMax);
  minimum = clamp(minimum, -kHalfMax, kHalfMax);
}

// The code of kNF4 next to x, in units of the scale.
int32_t nearest_nf4(float x) {
  int32_t code = 0;
  for (int32_t i = 0; i < 15; ++i) {
    const float between =
        (static_cast<float>(kNf4Codes[i]) + static_cast<float>(kNf4Codes[i + 1])) / 2;
    code += x > between - 128 ? 1 : 0;
  }
  return code;
}

float through_half(float x) {
  return half_to_float(float_to_half(x));
}

// The code of a value, in units of the scale and above the minimum.
int32_t code_of(WeightKind kind, float q) {
  if (kind == WeightKind::kNF4) return nearest_nf4(q);
  const bool bytes = kind == WeightKind::kI8 || kind == WeightKind::kI8Min;
  const float offset = static_cast<float>(code_offset(kind));
  const float code = round_small(clamp(q + offset, -1.0f, 256.0f));
  return static_cast<int32_t>(
      clamp(code, kind == WeightKind::kI8 ? 1.0f : 0.0f, bytes ? 255.0f : 15.0f));
}

// Sums over a group with the codes that a scale and minimum give; t: what a code stands for.
struct Fit {
  double t = 0, tt = 0, x = 0, xt = 0;
  double error = 0;  // sum of (x - scale * t - minimum)^2
};
Fit fit_of(WeightKind kind, const float* x, int32_t n, float scale, float minimum) {
  Fit fit;
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (int32_t i = 0; i < n; ++i) {
    int32_t code = code_of(kind, (x[i] - minimum) * inverse);
    if (kind == WeightKind::kNF4) code = kNf4Codes[code];
    const double t = code - code_offset(kind);
    const double off = static_cast<double>(x[i]) - (static_cast<double>(scale) * t + minimum);
    fit.t += t;
    fit.tt += t * t;
    fit.x += x[i];
    fit.xt += x[i] * t;
    fit.error += off * off;
  }
  return fit;
}

// Few codes: the line that fits the values best with the codes they have, then codes again, and so
// on; the best of them. Values that lie on the first grid stay there.
void refine_scale(WeightKind kind, const float* x, int32_t n, float& scale, float& minimum) {
  constexpr int kTries = 4;
  float next_scale = through_half(scale), next_minimum = through_half(minimum);
  double least = -1;
  for (int i = 0; i < kTries; ++i) {
    const Fit fit = fit_of(kind, x, n, next_scale, next_minimum);
    if (least < 0 || fit.error < least) {
      least = fit.error;
      scale = next_scale;
      minimum = next_minimum;
    }
    const bool line = has_minimum(kind);
    const double slope = line ? n * fit.tt - fit.t * fit.t : fit.tt;
    if (!(slope > 0)) return;
    const double best = (line ? n * fit.xt - fit.x * fit.t : fit.xt) / slope;
    next_scale = through_half(clamp(static_cast<float>(best), -kHalfMax, kHalfMax));
    if (!line) continue;
    const double rest = (fit.x - best * fit.t) / n;
    next_minimum = through_half(clamp(static_cast<float>(rest), -kHalfMax, kHalfMax));
  }
}

void pack_group(const PanelRow& to, int64_t g, const float* x) {
  float scale, minimum;
  choose_scale(to.kind, x, to.group, scale, minimum);
  if (has_nibbles(to.kind)) refine_scale(to.kind, x, to.group, scale, minimum);
  const int64_t at = g * 16 + to.lane;
  to.scales[at] = float_to_half(scale);
  scale = half_to_float(to.scales[at]);
  if (to.minima != nullptr) {
    to.minima[at] = float_to_half(minimum);
    minimum = half_to_float(to.minima[at]);
  }
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (int32_t i = 0; i < to.group; ++i) {
    store_code(to, g * to.group + i, code_of(to.kind, (x[i] - minimum) * inverse));
  }
}

// H x / n, in place.
void rotate(float* x, int32_t n) {
  for (int32_t step = 1; step < n; step *= 2) {
    for (int32_t block = 0; block < n; block += 2 * step) {
      for (int32_t i = block; i < block + step; ++i) {
        const float sum = x[i] + x[i + step];
        x[i + step] = x[i] - x[i + step];
        x[i] = sum;
      }
    }
  }
  for (int32_t i = 0; i < n; ++i) x[i] /= static_cast<float>(n);
}

}  // namespace

void pack_floats(const PanelRow& to, const float* row) {
  if (to.kind == WeightKind::kF32) {
    for (int64_t k = 0; k < to.cols; ++k) memcpy(to.panel + (k * 16 + to.lane) * 4, row + k, 4);
    return;
  }
  if (to.kind == WeightKind::kBF16) {
    for (int64_t k = 0; k < to.cols; ++k) {
      const uint16_t h = float_to_bf16(row[k]);
      memcpy(to.panel + ((k / 2 * 16 + to.lane) * 2 + k % 2) * 2, &h, 2);
    }
    return;
  }
  for (int64_t g = 0; g < to.cols / to.group; ++g) {
    float group[kGroupMax];
    memcpy(group, row + g * to.group, static_cast<size_t>(to.group) * 4);
    if (to.rotated) rotate(group, to.group);
    pack_group(to, g, group);
  }
}

void pack_codes(const PanelRow& to, const int16_t* codes, const float* scales,
                const float* minima) {
  for (int64_t g = 0; g < to.cols / to.group; ++g) {
    const int64_t at = g * 16 + to.lane;
    to.scales[at] = float_to_half(scales[g]);
    if (to.minima != nullptr) to.minima[at] = float_to_half(minima[g]);
  }
  const int32_t offset = to.kind == WeightKind::kI8 ? 128 : 0;
  const int32_t mask = to.kind == WeightKind::kI8 || to.kind == WeightKind::kI8Min ? 255 : 15;
  for (int64_t k = 0; k < to.cols; ++k) store_code(to, k, (codes[k] + offset) & mask);
}

}  // namespace vsurge::kernels
