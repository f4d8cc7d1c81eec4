#include "kernels/pack.h"

#include <math.h>

#include "kernels/cpu/half-inl.h"

namespace vsurge::kernels {
namespace {

constexpr float kHalfMax = 65504.0f;
constexpr int kGroupMax = 256;

// Low for NaN. Two plain choices, of which the compiler makes vector instructions.
inline float clamp(float x, float low, float high) {
  const float above = x > low ? x : low;
  return above < high ? above : high;
}

// Where four codes of a row (eight, two to a byte) that begin at column k lie side by side.
inline uint8_t* place(const PanelRow& to, int64_t k) {
  const int64_t quad = k / (has_nibbles(to.kind) ? 8 : 4);
  return to.panel + (quad * 16 + to.lane) * 4;
}

// The codes of columns [k, k + count), 0..255 each; k and count are whole quads of the kind.
void store_codes(const PanelRow& to, int64_t k, const int32_t* codes, int64_t count) {
  if (!has_nibbles(to.kind)) {
    for (int64_t i = 0; i < count; i += 4) {
      const int32_t* c = codes + i;
      const uint32_t word =
          static_cast<uint32_t>(c[0] | c[1] << 8 | c[2] << 16) | static_cast<uint32_t>(c[3]) << 24;
      memcpy(place(to, k + i), &word, 4);
    }
    return;
  }
  for (int64_t i = 0; i < count; i += 8) {
    const int32_t* c = codes + i;
    const int32_t low = c[0] | c[1] << 8 | c[2] << 16 | c[3] << 24;
    const int32_t high = c[4] | c[5] << 8 | c[6] << 16 | c[7] << 24;
    const uint32_t word = static_cast<uint32_t>(low) | static_cast<uint32_t>(high) << 4;
    memcpy(place(to, k + i), &word, 4);
  }
}

// Round to nearest even of |x| < 2^22; anything for others. (The library's call is slow without
// SSE 4.1, and this file is for every x86-64.)
inline float round_small(float x) {
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23
  return (x + kMagic) - kMagic;
}

// Least and greatest of n values, n a multiple of 8.
void extent(const float* x, int32_t n, float& low, float& high) {
  float lows[8], highs[8];
  for (int32_t j = 0; j < 8; ++j) lows[j] = highs[j] = x[j];
  for (int32_t i = 8; i < n; i += 8) {
    for (int32_t j = 0; j < 8; ++j) {
      lows[j] = x[i + j] < lows[j] ? x[i + j] : lows[j];
      highs[j] = x[i + j] > highs[j] ? x[i + j] : highs[j];
    }
  }
  low = lows[0];
  high = highs[0];
  for (int32_t j = 1; j < 8; ++j) {
    low = lows[j] < low ? lows[j] : low;
    high = highs[j] > high ? highs[j] : high;
  }
}

// The scale and minimum that a group of floats gets, before they are rounded to half.
void choose_scale(WeightKind kind, const float* x, int32_t n, float& scale, float& minimum) {
  float low = 0, high = 0;
  extent(x, n, low, high);
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

// The codes of kNF4 next to n values in units of the scale.
void nearest_nf4(const float* x, int32_t n, int32_t* codes) {
  for (int32_t i = 0; i < n; ++i) codes[i] = 0;
  for (int32_t c = 0; c < 15; ++c) {
    const float between =
        (static_cast<float>(kNf4Codes[c]) + static_cast<float>(kNf4Codes[c + 1])) / 2 - 128;
    for (int32_t i = 0; i < n; ++i) codes[i] += x[i] > between ? 1 : 0;
  }
}

float through_half(float x) {
  return half_to_float(float_to_half(x));
}

// The codes of n values, x = scale * (code - offset) + minimum.
void codes_of(WeightKind kind, const float* x, int32_t n, float scale, float minimum,
              int32_t* codes) {
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  if (kind == WeightKind::kNF4) {
    float scaled[kGroupMax];
    for (int32_t i = 0; i < n; ++i) scaled[i] = (x[i] - minimum) * inverse;
    return nearest_nf4(scaled, n, codes);
  }
  const bool bytes = !has_nibbles(kind);
  const float offset = static_cast<float>(code_offset(kind));
  const float lowest = kind == WeightKind::kI8 ? 1.0f : 0.0f, highest = bytes ? 255.0f : 15.0f;
  for (int32_t i = 0; i < n; ++i) {
    const float q = clamp((x[i] - minimum) * inverse + offset, -1.0f, 256.0f);
    codes[i] = static_cast<int32_t>(clamp(round_small(q), lowest, highest));
  }
}

// Sums over a group with the codes that a scale and minimum give; t: what a code stands for.
struct Fit {
  float t = 0, tt = 0, x = 0, xt = 0;
  float error = 0;  // sum of (x - scale * t - minimum)^2
};
Fit fit_of(WeightKind kind, const float* x, int32_t n, float scale, float minimum) {
  int32_t codes[kGroupMax];
  codes_of(kind, x, n, scale, minimum, codes);
  const float offset = static_cast<float>(code_offset(kind));
  float values[kGroupMax];
  for (int32_t i = 0; i < n; ++i) {
    const int32_t code = kind == WeightKind::kNF4 ? kNf4Codes[codes[i]] : codes[i];
    values[i] = static_cast<float>(code) - offset;
  }
  Fit lanes[8];
  for (int32_t i = 0; i < n; i += 8) {
    for (int32_t j = 0; j < 8; ++j) {
      const float t = values[i + j], v = x[i + j], off = v - scale * t - minimum;
      lanes[j].t += t;
      lanes[j].tt += t * t;
      lanes[j].x += v;
      lanes[j].xt += v * t;
      lanes[j].error += off * off;
    }
  }
  for (int32_t j = 1; j < 8; ++j) {
    lanes[0].t += lanes[j].t;
    lanes[0].tt += lanes[j].tt;
    lanes[0].x += lanes[j].x;
    lanes[0].xt += lanes[j].xt;
    lanes[0].error += lanes[j].error;
  }
  return lanes[0];
}

// Few codes: the line that fits the values best with the codes they have, then codes again, and so
// on; the best of them. Values that lie on the first grid stay there.
void refine_scale(WeightKind kind, const float* x, int32_t n, float& scale, float& minimum) {
  constexpr int kTries = 4;
  const float count = static_cast<float>(n);
  float next_scale = through_half(scale), next_minimum = through_half(minimum);
  float least = -1;
  for (int i = 0; i < kTries; ++i) {
    const Fit fit = fit_of(kind, x, n, next_scale, next_minimum);
    if (least < 0 || fit.error < least) {
      least = fit.error;
      scale = next_scale;
      minimum = next_minimum;
    }
    const bool line = has_minimum(kind);
    const float slope = line ? count * fit.tt - fit.t * fit.t : fit.tt;
    if (!(slope > 0)) return;
    const float best = (line ? count * fit.xt - fit.x * fit.t : fit.xt) / slope;
    next_scale = through_half(clamp(best, -kHalfMax, kHalfMax));
    if (!line) continue;
    const float rest = (fit.x - best * fit.t) / count;
    next_minimum = through_half(clamp(rest, -kHalfMax, kHalfMax));
  }
}

void pack_group(const PanelRow& to, int64_t g, const float* x) {
  float scale, minimum;
  choose_scale(to.kind, x, to.group, scale, minimum);
  if (has_nibbles(to.kind)) refine_scale(to.kind, x, to.group, scale, minimum);
  const int64_t at = g * 16 + to.lane;
  to.scales[at] = float_to_half(scale);
  if (to.minima != nullptr) to.minima[at] = float_to_half(minimum);
  int32_t codes[kGroupMax];
  codes_of(to.kind, x, to.group, half_to_float(to.scales[at]),
           to.minima != nullptr ? half_to_float(to.minima[at]) : minimum, codes);
  store_codes(to, g * to.group, codes, to.group);
}

// Sums and differences of two rows of n values.
inline void butterfly(float* __restrict a, float* __restrict b, int32_t n) {
  for (int32_t i = 0; i < n; ++i) {
    const float sum = a[i] + b[i];
    b[i] = a[i] - b[i];
    a[i] = sum;
  }
}

// H x / n, in place; n is a power of two, 4 at least.
void rotate(float* x, int32_t n) {
  for (int32_t i = 0; i < n; i += 4) {  // the steps of 1 and 2
    const float s0 = x[i] + x[i + 1], d0 = x[i] - x[i + 1];
    const float s1 = x[i + 2] + x[i + 3], d1 = x[i + 2] - x[i + 3];
    x[i] = s0 + s1;
    x[i + 1] = d0 + d1;
    x[i + 2] = s0 - s1;
    x[i + 3] = d0 - d1;
  }
  for (int32_t step = 4; step < n; step *= 2) {
    for (int32_t block = 0; block < n; block += 2 * step) {
      butterfly(x + block, x + block + step, step);
    }
  }
  const float share = 1.0f / static_cast<float>(n);  // exact
  for (int32_t i = 0; i < n; ++i) x[i] *= share;
}

}  // namespace

void pack_floats(const PanelRow& to, const float* row) {
  if (to.kind == WeightKind::kF32) {
    for (int64_t k = 0; k < to.cols; ++k) memcpy(to.panel + (k * 16 + to.lane) * 4, row + k, 4);
    return;
  }
  if (to.kind == WeightKind::kBF16) {
    for (int64_t k = 0; k < to.cols; k += 2) {
      const uint32_t pair = static_cast<uint32_t>(float_to_bf16(row[k])) |
                            static_cast<uint32_t>(float_to_bf16(row[k + 1])) << 16;
      memcpy(to.panel + (k / 2 * 16 + to.lane) * 4, &pair, 4);
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
  for (int64_t k = 0; k < to.cols; k += to.group) {
    int32_t stored[kGroupMax];
    for (int32_t i = 0; i < to.group; ++i) stored[i] = (codes[k + i] + offset) & mask;
    store_codes(to, k, stored, to.group);
  }
}

}  // namespace vsurge::kernels
