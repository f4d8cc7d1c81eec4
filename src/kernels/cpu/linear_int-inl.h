// linear() for integer weights, as a definition: the integer sum of a group is exact, then
//   u = float(sum) * scale [; u = fma(minimum, sum of x, u)]; y = fma(u, scale of x, y)
// with groups in ascending order. The fast versions compute the same bytes.
#pragma once

#include "kernels/cpu/linear_float-inl.h"

namespace vsurge::kernels {
namespace {

// sums[16] += codes * x over the group of one panel that begins at column k0, times `factor`.
inline void group_sums(const PackedMatrix& m, const uint8_t* panel, const int8_t* x, int64_t k0,
                       uint32_t factor, uint32_t* sums) {
  const bool nibbles = has_nibbles(m.kind);
  for (int64_t quad = k0 / 4; quad < (k0 + m.group) / 4; ++quad) {
    const uint8_t* w = panel + (nibbles ? quad / 2 : quad) * 64;
    const int shift = nibbles && quad % 2 != 0 ? 4 : 0;
    const int mask = nibbles ? 15 : 255;
    for (int i = 0; i < 64; ++i) {
      int32_t code = (w[i] >> shift) & mask;
      if (m.kind == WeightKind::kNF4) code = kNf4Codes[code];
      sums[i / 4] += static_cast<uint32_t>(code * x[quad * 4 + i % 4]) * factor;
    }
  }
}

[[maybe_unused]] void linear_int(const LinearArgs& a) {
  const PackedMatrix& m = a.weights;
  const int64_t groups = m.cols / m.group;
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    const uint8_t* w = m.values + panel * panel_bytes(m.kind, m.cols);
    for (int64_t row = 0; row < a.x.rows; ++row) {
      const int8_t* x = reinterpret_cast<const int8_t*>(a.x.values + row * a.x.planes * a.x.stride);
      Vf y = vset(0);
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t at = row * groups + g;
        uint32_t sums[16];
        for (uint32_t& s : sums) s = static_cast<uint32_t>(a.x.starts[at]);
        group_sums(m, w, x, g * m.group, a.x.planes == 2 ? 256 : 1, sums);
        if (a.x.planes == 2) group_sums(m, w, x + a.x.stride, g * m.group, 1, sums);
        float f[16];
        for (int i = 0; i < 16; ++i) f[i] = static_cast<float>(static_cast<int32_t>(sums[i]));
        const int64_t scale = (panel * groups + g) * 16;
        Vf u = vmul(vload(f), vload_half(m.scales + scale));
        if (m.minima != nullptr) {
          u = vfma(vload_half(m.minima + scale), vset(a.x.sums[at]), u);
        }
        y = vfma(u, vset(a.x.scales[at]), y);
      }
      write_outputs(a, y, row, panel);
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels
