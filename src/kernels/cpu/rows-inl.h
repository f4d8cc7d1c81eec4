// Row-wise operations: norm, gate, embedding, preparing activations for linear().
#pragma once

#include "kernels/args.h"

namespace vsurge::kernels {
namespace {

// Sum of squares of n values: two chains of lanes, added at the end.
inline float sum_of_squares(const float* x, int64_t n) {
  Vf a = vset(0), b = vset(0);
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const Vf u = vload(x + i), v = vload(x + i + 16);
    a = vfma(u, u, a);
    b = vfma(v, v, b);
  }
  for (; i < n; i += 16) {
    const Vf u = n - i >= 16 ? vload(x + i) : vload_n(x + i, n - i);
    a = vfma(u, u, a);
  }
  return vreduce_add(vadd(a, b));
}

// out = x / rms(x) * weight; out may be x.
inline void norm_row(const float* x, const float* weight, float eps, int64_t n, float* out) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  const Vf scale = vset(1.0f / __builtin_sqrtf(mean + eps));
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    vstore(out + i, vmul(vmul(vload(x + i), scale), vload(weight + i)));
  }
  if (i < n) {
    const Vf u = vmul(vmul(vload_n(x + i, n - i), scale), vload_n(weight + i, n - i));
    vstore_n(out + i, u, n - i);
  }
}

void rms_norm(const RmsNormArgs& a) {
  for (int64_t r = a.row_begin; r < a.row_end; ++r) {
    norm_row(a.x + r * a.x_stride, a.weight, a.eps, a.cols, a.out + r * a.out_stride);
  }
}

template <Activation kActivation>
void gate_rows(const GatedActivationArgs& a) {
  const auto gate = [](Vf g, Vf u) {
    if constexpr (kActivation == Activation::kSilu) return vmul(vsilu(g), u);
    if constexpr (kActivation == Activation::kGelu) return vmul(vgelu(g), u);
    if constexpr (kActivation == Activation::kGeluTanh) return vmul(vgelu_tanh(g), u);
  };
  for (int64_t r = a.row_begin; r < a.row_end; ++r) {
    const float* g = a.gate_up + r * a.gate_up_stride;
    const float* u = g + a.width;
    float* out = a.out + r * a.out_stride;
    int64_t i = a.col_begin;
    for (; i + 16 <= a.col_end; i += 16) vstore(out + i, gate(vload(g + i), vload(u + i)));
    if (i < a.col_end) {
      const int64_t n = a.col_end - i;
      vstore_n(out + i, gate(vload_n(g + i, n), vload_n(u + i, n)), n);
    }
  }
}

void gated_activation(const GatedActivationArgs& a) {
  switch (a.activation) {
    case Activation::kSilu:
      return gate_rows<Activation::kSilu>(a);
    case Activation::kGelu:
      return gate_rows<Activation::kGelu>(a);
    case Activation::kGeluTanh:
      return gate_rows<Activation::kGeluTanh>(a);
  }
}

// The value of row `lane` of a panel at column k.
inline float panel_value(const PackedMatrix& m, const uint8_t* panel, int64_t group_base,
                         int64_t lane, int64_t k) {
  if (m.kind == WeightKind::kF32) {
    float f;
    memcpy(&f, panel + (k * 16 + lane) * 4, 4);
    return f;
  }
  if (m.kind == WeightKind::kBF16) {
    uint16_t h;
    memcpy(&h, panel + ((k / 2 * 16 + lane) * 2 + k % 2) * 2, 2);
    return bf16_to_float(h);
  }
  const bool nibbles = m.kind == WeightKind::kI4 || m.kind == WeightKind::kI4Min;
  int32_t code;
  if (nibbles) {
    code = (panel[(k / 8 * 16 + lane) * 4 + k % 4] >> (k / 4 % 2 * 4)) & 15;
  } else {
    code = panel[(k / 4 * 16 + lane) * 4 + k % 4];
  }
  const int64_t at = group_base + k / m.group * 16 + lane;
  const float q = static_cast<float>(code - code_offset(m.kind));
  const float scale = half_to_float(m.scales[at]);
  if (m.minima == nullptr) return q * scale;
  return __builtin_fmaf(q, scale, half_to_float(m.minima[at]));
}

void embed(const EmbedArgs& a) {
  const PackedMatrix& m = a.table;
  const int64_t groups = m.group != 0 ? m.cols / m.group : 0;
  for (int64_t r = a.row_begin; r < a.row_end; ++r) {
    const int64_t panel_index = a.tokens[r] / 16, lane = a.tokens[r] % 16;
    const uint8_t* panel = m.values + panel_index * panel_bytes(m.kind, m.cols);
    float* out = a.out + r * a.out_stride;
    for (int64_t k = 0; k < m.cols; ++k) {
      out[k] = panel_value(m, panel, panel_index * groups * 16, lane, k);
    }
  }
}

// One row of one tile, columns [k0, k1): copied (kF32) or rounded (kBF16) to its place.
inline void prepare_float_row(const float* x, WeightKind kind, uint8_t* tile, int64_t h, int64_t r,
                              int64_t k0, int64_t k1) {
  if (kind == WeightKind::kF32) {
    float* out = reinterpret_cast<float*>(tile) + r;
    for (int64_t k = k0; k < k1; ++k) out[k * h] = x[k];
    return;
  }
  uint16_t* out = reinterpret_cast<uint16_t*>(tile) + r * 2;
  for (int64_t k = k0; k < k1; ++k) out[k / 2 * h * 2 + k % 2] = float_to_bf16(x[k]);
}

// Sixteen values as int8 at q; returns their sum. Plane -1 is the only one, 0 the high, 1 the low.
inline uint32_t store_plane(int8_t* q, Vf scaled, int plane) {
  if (plane >= 0) {
    const Vf whole = vround(scaled);
    // The half makes ties impossible, so that low lies in -128..127.
    const Vf high = vround(vmul(vadd(whole, vset(0.5f)), vset(1.0f / 256)));
    scaled = plane == 0 ? high : vfma(high, vset(-256.0f), whole);
  }
  return static_cast<uint32_t>(vstore_int8(q, scaled, 16));
}

// The same for integers: round(x * 127 / max|x|) per group, or a plane of round(x * 32512 /
// max|x|).
inline void prepare_integer_row(const float* x, const PrepareArgs& a, int64_t r0, int64_t h,
                                int64_t r) {
  const ActivationTiles& t = a.tiles;
  const int64_t group = t.group;
  const int plane = t.planes == 1 ? -1 : static_cast<int>((r0 + r) % 2);
  const float steps = t.planes == 1 ? 127.0f : 32512.0f;
  const auto offset = static_cast<uint32_t>(code_offset(a.kind));
  int8_t* out = reinterpret_cast<int8_t*>(t.values) + r0 * t.cols + r * 4;
  for (int64_t g = a.col_begin / group; g < a.col_end / group; ++g) {
    Vf m = vset(0);
    for (int64_t i = 0; i < group; i += 16) m = vmax(m, vabs(vload(x + g * group + i)));
    const float top = vreduce_max(m);
    const Vf inverse = vset(top == 0 ? 0.0f : steps / top);
    uint32_t sum = 0;  // wraps when x is not finite; the scale says so then
    for (int64_t i = 0; i < group; i += 16) {
      int8_t q[16];
      sum += store_plane(q, vmul(vload(x + g * group + i), inverse), plane);
      int8_t* to = out + (g * group + i) * h;
      for (int j = 0; j < 4; ++j) memcpy(to + j * h * 4, q + j * 4, 4);
    }
    const int64_t at = r0 * (t.cols / group) + g * h + r;
    t.starts[at] = static_cast<int32_t>(0u - offset * sum);
    t.sums[at] = static_cast<float>(static_cast<int32_t>(sum));
    t.scales[at] = plane == 0 ? top / steps * 256.0f : top / steps;
  }
}

void prepare(const PrepareArgs& a) {
  const ActivationTiles& t = a.tiles;
  const bool floats = a.kind == WeightKind::kF32 || a.kind == WeightKind::kBF16;
  for (int64_t tile = a.tile_begin; tile < a.tile_end; ++tile) {
    const int64_t r0 = tile_first_row(t.rows, tile);
    const int64_t h = tile_first_row(t.rows, tile + 1) - r0;
    for (int64_t r = 0; r < h; ++r) {
      const float* x = a.x + (r0 + r) / t.planes * a.x_stride;
      if (floats) {
        uint8_t* at = t.values + r0 * t.cols * activation_bytes(a.kind);
        prepare_float_row(x, a.kind, at, h, r, a.col_begin, a.col_end);
      } else {
        prepare_integer_row(x, a, r0, h, r);
      }
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels
