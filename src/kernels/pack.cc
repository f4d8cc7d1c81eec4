#include "kernels/pack.h"

#include <math.h>

#include "kernels/cpu/half-inl.h"

namespace vsurge::kernels {
namespace {

constexpr float kHalfMax = 65504.0f;

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

// The scale and minimum that a group of floats gets, before they are rounded to half.
void choose_scale(WeightKind kind, const float* x, int32_t n, float& scale, float& minimum) {
  float low = x[0], high = x[0];
  for (int32_t i = 1; i < n; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
  }
  minimum = 0;
  switch (kind) {
    case WeightKind::kI8:
      scale = (-low > high ? -low : high) / 127;
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

void pack_group(const PanelRow& to, int64_t g, const float* x) {
  float scale, minimum;
  choose_scale(to.kind, x, to.group, scale, minimum);
  const int64_t at = g * 16 + to.lane;
  to.scales[at] = float_to_half(scale);
  scale = half_to_float(to.scales[at]);
  if (to.minima != nullptr) {
    to.minima[at] = float_to_half(minimum);
    minimum = half_to_float(to.minima[at]);
  }
  const float offset = static_cast<float>(code_offset(to.kind));
  const float lowest = to.kind == WeightKind::kI8 ? 1.0f : 0.0f;
  const float highest =
      to.kind == WeightKind::kI8 || to.kind == WeightKind::kI8Min ? 255.0f : 15.0f;
  for (int32_t i = 0; i < to.group; ++i) {
    const float q = scale == 0 ? 0.0f : nearbyintf((x[i] - minimum) / scale);
    store_code(to, g * to.group + i, static_cast<int32_t>(clamp(q + offset, lowest, highest)));
  }
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
  for (int64_t g = 0; g < to.cols / to.group; ++g) pack_group(to, g, row + g * to.group);
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
