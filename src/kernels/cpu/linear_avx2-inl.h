// linear() for integer weights with AVX2: vpmaddubsw, kept from saturating.
//
// A pair of products must fit 16 bits: nibbles do (15 * 128 * 2). Bytes are split into their lower
// seven bits (127 * 128 * 2 fits) and the top one, whose sum counts 128 times.
#pragma once

#include "kernels/cpu/linear_float-inl.h"

namespace vsurge::kernels {
namespace {

struct IntSums {
  __m256i lo, hi;  // sixteen rows of a panel
};

inline __m256i dot_quad(__m256i codes, __m256i x) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), _mm256_set1_epi16(1));
}
inline __m256i dot_byte_quad(__m256i codes, __m256i x) {
  const __m256i top = _mm256_and_si256(_mm256_srli_epi16(codes, 7), _mm256_set1_epi8(1));
  const __m256i rest = _mm256_and_si256(codes, _mm256_set1_epi8(127));
  return _mm256_add_epi32(dot_quad(rest, x), _mm256_slli_epi32(dot_quad(top, x), 7));
}
inline __m256i broadcast_quad(const int8_t* p) {
  int v;
  memcpy(&v, p, 4);
  return _mm256_set1_epi32(v);
}

template <bool kNibbles, int R>
inline void add_group(IntSums (&sums)[R], const uint8_t* w, const int8_t* x, int64_t h,
                      int64_t quads) {
  const __m256i low = _mm256_set1_epi8(15);
  for (int64_t q = 0; q < quads; ++q) {
    __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
    if constexpr (kNibbles) {
      const int shift = q % 2 != 0 ? 4 : 0;
      a = _mm256_and_si256(_mm256_srli_epi16(a, shift), low);
      b = _mm256_and_si256(_mm256_srli_epi16(b, shift), low);
    }
    if (!kNibbles || q % 2 != 0) w += 64;
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const __m256i xq = broadcast_quad(x + (q * h + r) * 4);
      sums[r].lo = _mm256_add_epi32(sums[r].lo, kNibbles ? dot_quad(a, xq) : dot_byte_quad(a, xq));
      sums[r].hi = _mm256_add_epi32(sums[r].hi, kNibbles ? dot_quad(b, xq) : dot_byte_quad(b, xq));
    }
  }
}

// R rows from row r0 + r of a tile of h rows that starts at row r0.
template <bool kNibbles, int R>
void int_rows(const LinearArgs& a, int64_t panel, int64_t r0, int64_t h, int64_t r) {
  const PackedMatrix& m = a.weights;
  const int64_t groups = m.cols / m.group, quads = m.group / 4;
  const uint8_t* w = m.values + panel * m.cols * (kNibbles ? 8 : 16);
  const int8_t* x = reinterpret_cast<const int8_t*>(a.x.values) + r0 * m.cols + r * 4;
  Vf y[R];
  for (int i = 0; i < R; ++i) y[i] = vset(0);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t at = r0 * groups + g * h + r;
    IntSums sums[R];
    for (int i = 0; i < R; ++i) {
      sums[i].lo = sums[i].hi = _mm256_set1_epi32(a.x.starts[at + i]);
    }
    add_group<kNibbles, R>(sums, w, x, h, quads);
    w += m.group * (kNibbles ? 8 : 16);
    x += m.group * h;
    const int64_t entry = (panel * groups + g) * 16;
    const Vf scale = vload_half(m.scales + entry);
    for (int i = 0; i < R; ++i) {
      Vf u = vmul({_mm256_cvtepi32_ps(sums[i].lo), _mm256_cvtepi32_ps(sums[i].hi)}, scale);
      if (m.minima != nullptr) {
        u = vfma(vload_half(m.minima + entry), vset(a.x.sums[at + i]), u);
      }
      y[i] = vfma(u, vset(a.x.scales[at + i]), y[i]);
    }
  }
  for (int i = 0; i < R; ++i) write_outputs(a, y[i], r0 + r + i, panel);
}

template <bool kNibbles>
void linear_bytes(const LinearArgs& a) {
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    for (int64_t tile = a.tile_begin; tile < a.tile_end; ++tile) {
      const int64_t r0 = tile_first_row(a.x.rows, tile);
      const int64_t h = tile_first_row(a.x.rows, tile + 1) - r0;
      int64_t r = 0;
      for (; r + 4 <= h; r += 4) int_rows<kNibbles, 4>(a, panel, r0, h, r);
      for (; r + 2 <= h; r += 2) int_rows<kNibbles, 2>(a, panel, r0, h, r);
      for (; r < h; ++r) int_rows<kNibbles, 1>(a, panel, r0, h, r);
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels
