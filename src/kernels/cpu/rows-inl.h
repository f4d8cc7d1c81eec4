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

// out = x / rms(x) * weight for columns [begin, end), whole vectors or up to n; out may be x.
inline void norm_columns(const float* x, const float* weight, float eps, int64_t n, float* out,
                         int64_t begin, int64_t end) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  const Vf scale = vset(1.0f / __builtin_sqrtf(mean + eps));
  int64_t i = begin;
  for (; i + 16 <= end; i += 16) {
    vstore(out + i, vmul(vmul(vload(x + i), scale), vload(weight + i)));
  }
  if (i < end) {
    const Vf u = vmul(vmul(vload_n(x + i, end - i), scale), vload_n(weight + i, end - i));
    vstore_n(out + i, u, end - i);
  }
}

inline void norm_row(const float* x, const float* weight, float eps, int64_t n, float* out) {
  norm_columns(x, weight, eps, n, out, 0, n);
}

// out = act(gate) * up in columns [begin, end).
template <Activation kActivation>
void gate_columns(const float* gate, const float* up, float* out, int64_t begin, int64_t end) {
  const auto gated = [](Vf g, Vf u) {
    if constexpr (kActivation == Activation::kSilu) return vmul(vsilu(g), u);
    if constexpr (kActivation == Activation::kGelu) return vmul(vgelu(g), u);
    if constexpr (kActivation == Activation::kGeluTanh) return vmul(vgelu_tanh(g), u);
  };
  int64_t i = begin;
  for (; i + 16 <= end; i += 16) vstore(out + i, gated(vload(gate + i), vload(up + i)));
  if (i == end) return;
  const int64_t n = end - i;
  vstore_n(out + i, gated(vload_n(gate + i, n), vload_n(up + i, n)), n);
}

inline void gate_row(const PrepareArgs& a, const float* x) {
  const float* up = x + a.to.cols;
  switch (a.gate) {
    case Activation::kSilu:
      return gate_columns<Activation::kSilu>(x, up, a.scratch, a.col_begin, a.col_end);
    case Activation::kGelu:
      return gate_columns<Activation::kGelu>(x, up, a.scratch, a.col_begin, a.col_end);
    case Activation::kGeluTanh:
      return gate_columns<Activation::kGeluTanh>(x, up, a.scratch, a.col_begin, a.col_end);
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
  int32_t code;
  if (has_nibbles(m.kind)) {
    code = (panel[(k / 8 * 16 + lane) * 4 + k % 4] >> (k / 4 % 2 * 4)) & 15;
  } else {
    code = panel[(k / 4 * 16 + lane) * 4 + k % 4];
  }
  if (m.kind == WeightKind::kNF4) code = kNf4Codes[code];
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

// One row, columns [k0, k1): copied (kF32) or rounded (kBF16).
inline void prepare_float_row(const float* x, WeightKind kind, uint8_t* row, int64_t k0,
                              int64_t k1) {
  if (kind == WeightKind::kF32) {
    memcpy(row + k0 * 4, x + k0, static_cast<size_t>(k1 - k0) * 4);
    return;
  }
  uint16_t* out = reinterpret_cast<uint16_t*>(row);
  for (int64_t k = k0; k < k1; ++k) out[k] = float_to_bf16(x[k]);
}

// Whole numbers as 256 * first + second.
inline void store_two_planes(int8_t* first, int8_t* second, Vf whole) {
  // The half makes ties impossible, so that the second lies in -128..127.
  const Vf high = vround(vmul(vadd(whole, vset(0.5f)), vset(1.0f / 256)));
  vstore_whole_int8(first, high);
  vstore_whole_int8(second, vfma(high, vset(-256.0f), whole));
}

// H x for N vectors.
template <int N>
inline void hadamard(Vf (&v)[N]) {
  for (int i = 0; i < N; ++i) {
    v[i] = vbutterfly<8>(vbutterfly<4>(vbutterfly<2>(vbutterfly<1>(v[i]))));
  }
  for (int step = 1; step < N; step *= 2) {
    for (int i = 0; i < N; ++i) {
      if ((i & step) != 0) continue;
      const Vf a = v[i], b = v[i + step];
      v[i] = vadd(a, b);
      v[i + step] = vsub(a, b);
    }
  }
}

constexpr float kTiniestTop = 0x1p-100f;

// One group of N vectors of one row: round(x * 127 / max |x|) in one plane, round(x * 32512 /
// max |x|) in two.
template <int N>
inline void round_group(const float* x, const PrepareArgs& a, int64_t row, int64_t g) {
  const Activations& t = a.to;
  Vf v[N];
  for (int i = 0; i < N; ++i) v[i] = vload(x + i * 16);
  if (a.rotated) hadamard(v);
  Vf m = vabs(v[0]);
  for (int i = 1; i < N; ++i) m = vmax(m, vabs(v[i]));
  const float top = vreduce_max(m);
  const float steps = t.planes == 1 ? 127.0f : 32512.0f;
  // Smaller groups round to zero: their inverse would overflow.
  const Vf inverse = vset(top < kTiniestTop ? 0.0f : steps / top);
  int8_t* q = reinterpret_cast<int8_t*>(t.values + row * t.planes * t.stride) + g * t.group;
  Vf total = vset(0);
  for (int i = 0; i < N; ++i) {
    const Vf whole = vround(vmul(v[i], inverse));
    total = vadd(total, whole);
    if (t.planes == 1) {
      vstore_whole_int8(q + i * 16, whole);
    } else {
      store_two_planes(q + i * 16, q + t.stride + i * 16, whole);
    }
  }
  const float sum = vreduce_add(total);  // exact: below 2^23
  const bool finite = sum > -0x1p23f && sum < 0x1p23f;
  const int64_t at = row * (t.cols / t.group) + g;
  t.starts[at] = finite ? -code_offset(a.kind) * static_cast<int32_t>(sum) : 0;
  t.sums[at] = sum;
  t.scales[at] = finite ? top / steps : __builtin_nanf("");
}

template <int N>
inline void round_groups(const float* x, const PrepareArgs& a, int64_t row) {
  for (int64_t g = a.col_begin / (16 * N); g < a.col_end / (16 * N); ++g) {
    round_group<N>(x + g * 16 * N, a, row, g);
  }
}

inline void prepare_integer_row(const float* x, const PrepareArgs& a, int64_t row) {
  switch (a.to.group) {
    case 16:
      return round_groups<1>(x, a, row);
    case 32:
      return round_groups<2>(x, a, row);
    case 64:
      return round_groups<4>(x, a, row);
    case 128:
      return round_groups<8>(x, a, row);
    default:
      return round_groups<16>(x, a, row);
  }
}

// The row after its gate or norm, in the columns asked for.
inline const float* transformed_row(const PrepareArgs& a, int64_t row) {
  const float* x = a.x + row * a.x_stride;
  if (a.gated) {
    gate_row(a, x);
    return a.scratch;
  }
  if (a.norm == nullptr) return x;
  norm_columns(x, a.norm, a.norm_eps, a.to.cols, a.scratch, a.col_begin, a.col_end);
  return a.scratch;
}

void prepare(const PrepareArgs& a) {
  for (int64_t row = a.row_begin; row < a.row_end; ++row) {
    const float* x = transformed_row(a, row);
    if (is_integer(a.kind)) {
      prepare_integer_row(x, a, row);
    } else {
      prepare_float_row(x, a.kind, a.to.values + row * a.to.stride, a.col_begin, a.col_end);
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels
