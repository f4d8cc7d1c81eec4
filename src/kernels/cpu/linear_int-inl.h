// linear() for integer weights, as a definition: the integer sum of a group is exact, then
//   u = float(sum) * scale [; u = fma(minimum, sum of x, u)]; y = fma(u, scale of x, y)
// with groups in ascending order. The fast versions compute the same bytes.
#pragma once

#include "kernels/cpu/linear_float-inl.h"

namespace vsurge::kernels {
namespace {

// sums[16] += codes * x over one group of one panel; x steps by h rows.
inline void group_sums(const PackedMatrix& m, const uint8_t* panel, const int8_t* x, int64_t h,
                       int64_t k0, int32_t* sums) {
  const bool nibbles = m.kind == WeightKind::kI4 || m.kind == WeightKind::kI4Min;
  for (int64_t quad = k0 / 4; quad < (k0 + m.group) / 4; ++quad) {
    const int8_t* xq = x + quad * h * 4;
    const uint8_t* w = panel + (nibbles ? quad / 2 : quad) * 64;
    const int shift = nibbles && quad % 2 != 0 ? 4 : 0;
    const int mask = nibbles ? 15 : 255;
    for (int lane = 0; lane < 16; ++lane) {
      for (int i = 0; i < 4; ++i) sums[lane] += ((w[lane * 4 + i] >> shift) & mask) * xq[i];
    }
  }
}

[[maybe_unused]] void linear_int(const LinearArgs& a) {
  const PackedMatrix& m = a.weights;
  const int64_t groups = m.cols / m.group;
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    const uint8_t* w = m.values + panel * panel_bytes(m.kind, m.cols);
    for (int64_t tile = a.tile_begin; tile < a.tile_end; ++tile) {
      const int64_t r0 = tile_first_row(a.x.rows, tile);
      const int64_t h = tile_first_row(a.x.rows, tile + 1) - r0;
      for (int64_t r = 0; r < h; ++r) {
        const int8_t* x = reinterpret_cast<const int8_t*>(a.x.values) + r0 * m.cols + r * 4;
        Vf y = vset(0);
        for (int64_t g = 0; g < groups; ++g) {
          const int64_t at = r0 * groups + g * h + r;
          int32_t sums[16];
          for (int32_t& s : sums) s = a.x.starts[at];
          group_sums(m, w, x, h, g * m.group, sums);
          float f[16];
          for (int i = 0; i < 16; ++i) f[i] = static_cast<float>(sums[i]);
          const int64_t scale = (panel * groups + g) * 16;
          Vf u = vmul(vload(f), vload_half(m.scales + scale));
          if (m.minima != nullptr) {
            u = vfma(vload_half(m.minima + scale), vset(a.x.sums[at]), u);
          }
          y = vfma(u, vset(a.x.scales[at]), y);
        }
        write_outputs(a, y, r0 + r, panel);
      }
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels
