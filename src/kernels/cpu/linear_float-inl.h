// linear() for float weights, and the writing of results that all kinds share.
#pragma once

#include "kernels/args.h"

namespace vsurge::kernels {
namespace {

// Sixteen outputs of one row: [+ bias] [+ what is there], and only the columns that exist.
inline void write_outputs(const LinearArgs& a, Vf y, int64_t row, int64_t panel) {
  const int64_t n0 = panel * 16;
  float* out = a.out + row * a.out_stride + n0 - a.out_panel * 16;
  const int64_t n = a.weights.rows - n0;
  if (n >= 16) {
    if (a.bias != nullptr) y = vadd(y, vload(a.bias + n0));
    if (a.accumulate) y = vadd(y, vload(out));
    a.past_caches ? vstore_past_caches(out, y) : vstore(out, y);
    return;
  }
  if (a.bias != nullptr) y = vadd(y, vload_n(a.bias + n0, n));
  if (a.accumulate) y = vadd(y, vload_n(out, n));
  vstore_n(out, y, n);
}

// y = fma(w[k], x[k], y) in ascending k, for R rows from `row` on.
template <int R>
inline void f32_rows(const LinearArgs& a, int64_t panel, int64_t row) {
  const float* w = reinterpret_cast<const float*>(a.weights.values + panel * a.weights.cols * 64);
  const float* x[R];
  Vf y[R];
  for (int r = 0; r < R; ++r) {
    x[r] = reinterpret_cast<const float*>(a.x.values + (row + r) * a.x.stride);
    y[r] = vset(0);
  }
  for (int64_t k = 0; k < a.weights.cols; ++k) {
    const Vf u = vload(w + k * 16);
    for (int r = 0; r < R; ++r) y[r] = vfma(u, vset(x[r][k]), y[r]);
  }
  for (int r = 0; r < R; ++r) write_outputs(a, y[r], row + r, panel);
}

// Pairs of k, the odd one first: the order of vdpbf16ps.
template <int R>
inline void bf16_rows(const LinearArgs& a, int64_t panel, int64_t row) {
  const uint16_t* w =
      reinterpret_cast<const uint16_t*>(a.weights.values + panel * a.weights.cols * 32);
  const uint16_t* x[R];
  Vf y[R];
  for (int r = 0; r < R; ++r) {
    x[r] = reinterpret_cast<const uint16_t*>(a.x.values + (row + r) * a.x.stride);
    y[r] = vset(0);
  }
  for (int64_t p = 0; p < a.weights.cols / 2; ++p) {
    Vf even, odd;
    vload_bf16_pairs(w + p * 32, even, odd);
    for (int r = 0; r < R; ++r) {
      y[r] = vfma(odd, vset(bf16_to_float(x[r][2 * p + 1])), y[r]);
      y[r] = vfma(even, vset(bf16_to_float(x[r][2 * p])), y[r]);
    }
  }
  for (int r = 0; r < R; ++r) write_outputs(a, y[r], row + r, panel);
}

[[maybe_unused]] void linear_f32(const LinearArgs& a) {
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    int64_t r = 0;
    for (; r + 4 <= a.x.rows; r += 4) f32_rows<4>(a, panel, r);
    for (; r + 2 <= a.x.rows; r += 2) f32_rows<2>(a, panel, r);
    for (; r < a.x.rows; ++r) f32_rows<1>(a, panel, r);
  }
}

[[maybe_unused]] void linear_bf16(const LinearArgs& a) {
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    int64_t r = 0;
    for (; r + 4 <= a.x.rows; r += 4) bf16_rows<4>(a, panel, r);
    for (; r + 2 <= a.x.rows; r += 2) bf16_rows<2>(a, panel, r);
    for (; r < a.x.rows; ++r) bf16_rows<1>(a, panel, r);
  }
}

}  // namespace
}  // namespace vsurge::kernels
