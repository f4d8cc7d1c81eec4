// linear() for integer weights with AVX-VNNI's vpdpbusd, or with AVX2's vpmaddubsw, kept from
// saturating.
//
// A pair of its products must fit 16 bits: nibbles do (15 * 128 * 2). Bytes are split into their
// lower seven bits (127 * 128 * 2 fits) and the top one, whose sum counts 128 times.
#pragma once

#include "kernels/cpu/linear_float-inl.h"

namespace vsurge::kernels {
namespace {

struct IntSums {
  __m256i lo, hi;  // sixteen rows of a panel
};

// acc + codes * x, four columns to a lane; kSmall: codes are below 128.
#ifdef __AVXVNNI__
template <bool kSmall>
inline __m256i add_dots(__m256i acc, __m256i codes, __m256i x) {
  return _mm256_dpbusd_avx_epi32(acc, codes, x);
}
#else
inline __m256i dot_quad(__m256i codes, __m256i x) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), _mm256_set1_epi16(1));
}
inline __m256i dot_byte_quad(__m256i codes, __m256i x) {
  const __m256i top = _mm256_and_si256(_mm256_srli_epi16(codes, 7), _mm256_set1_epi8(1));
  const __m256i rest = _mm256_and_si256(codes, _mm256_set1_epi8(127));
  return _mm256_add_epi32(dot_quad(rest, x), _mm256_slli_epi32(dot_quad(top, x), 7));
}
template <bool kSmall>
inline __m256i add_dots(__m256i acc, __m256i codes, __m256i x) {
  return _mm256_add_epi32(acc, kSmall ? dot_quad(codes, x) : dot_byte_quad(codes, x));
}
#endif
inline __m256i broadcast_quad(const int8_t* p) {
  int v;
  memcpy(&v, p, 4);
  return _mm256_set1_epi32(v);
}

// How the bytes of a panel become codes.
enum class Codes : uint8_t { kBytes, kNibbles, kNf4 };

template <Codes C>
inline __m256i codes_of(__m256i bytes, bool odd_quad) {
  if constexpr (C == Codes::kBytes) return bytes;
  const __m256i shifted = odd_quad ? _mm256_srli_epi16(bytes, 4) : bytes;
  const __m256i nibbles = _mm256_and_si256(shifted, _mm256_set1_epi8(15));
  if constexpr (C == Codes::kNibbles) return nibbles;
  const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kNf4Codes));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

template <Codes C, int R>
inline void add_group(IntSums (&sums)[R], const uint8_t* w, const int8_t* x, int64_t stride,
                      int64_t quads) {
  for (int64_t q = 0; q < quads; ++q) {
    __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 32));
    a = codes_of<C>(a, q % 2 != 0);
    b = codes_of<C>(b, q % 2 != 0);
    if (C == Codes::kBytes || q % 2 != 0) w += 64;
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const __m256i xq = broadcast_quad(x + r * stride + q * 4);
      constexpr bool kSmall = C == Codes::kNibbles;
      sums[r].lo = add_dots<kSmall>(sums[r].lo, a, xq);
      sums[r].hi = add_dots<kSmall>(sums[r].hi, b, xq);
    }
  }
}

// R rows from `row` on, of P planes.
template <Codes C, int R, int P>
void int_rows(const LinearArgs& a, int64_t panel, int64_t row) {
  const PackedMatrix& m = a.weights;
  const int64_t groups = m.cols / m.group, quads = m.group / 4;
  const int64_t group_bytes = m.group * (C == Codes::kBytes ? 16 : 8);
  const uint8_t* w = m.values + panel * groups * group_bytes;
  const int8_t* x = reinterpret_cast<const int8_t*>(a.x.values + row * P * a.x.stride);
  Vf y[R];
  for (int i = 0; i < R; ++i) y[i] = vset(0);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t at = row * groups + g;
    IntSums sums[R * P] = {};
    add_group<C, R * P>(sums, w, x, a.x.stride, quads);
    w += group_bytes;
    x += m.group;
    const int64_t entry = (panel * groups + g) * 16;
    const Vf scale = vload_half(m.scales + entry);
    for (int i = 0; i < R; ++i) {
      const __m256i start = _mm256_set1_epi32(a.x.starts[at + i * groups]);
      __m256i lo = _mm256_add_epi32(sums[i * P].lo, P == 1 ? start : _mm256_setzero_si256());
      __m256i hi = _mm256_add_epi32(sums[i * P].hi, P == 1 ? start : _mm256_setzero_si256());
      if constexpr (P == 2) {
        lo =
            _mm256_add_epi32(_mm256_slli_epi32(lo, 8), _mm256_add_epi32(sums[i * 2 + 1].lo, start));
        hi =
            _mm256_add_epi32(_mm256_slli_epi32(hi, 8), _mm256_add_epi32(sums[i * 2 + 1].hi, start));
      }
      Vf u = vmul({_mm256_cvtepi32_ps(lo), _mm256_cvtepi32_ps(hi)}, scale);
      if (m.minima != nullptr) {
        u = vfma(vload_half(m.minima + entry), vset(a.x.sums[at + i * groups]), u);
      }
      y[i] = vfma(u, vset(a.x.scales[at + i * groups]), y[i]);
    }
  }
  for (int i = 0; i < R; ++i) write_outputs(a, y[i], row + i, panel);
}

template <Codes C, int P>
void linear_planes(const LinearArgs& a) {
  for (int64_t panel = a.panel_begin; panel < a.panel_end; ++panel) {
    int64_t r = 0;
    if constexpr (P == 1) {
      for (; r + 4 <= a.x.rows; r += 4) int_rows<C, 4, P>(a, panel, r);
    }
    for (; r + 2 <= a.x.rows; r += 2) int_rows<C, 2, P>(a, panel, r);
    for (; r < a.x.rows; ++r) int_rows<C, 1, P>(a, panel, r);
  }
}

template <Codes C>
void linear_codes(const LinearArgs& a) {
  if (a.x.planes == 2) return linear_planes<C, 2>(a);
  linear_planes<C, 1>(a);
}

void linear_int(const LinearArgs& a) {
  if (a.weights.kind == WeightKind::kNF4) return linear_codes<Codes::kNf4>(a);
  if (has_nibbles(a.weights.kind)) return linear_codes<Codes::kNibbles>(a);
  linear_codes<Codes::kBytes>(a);
}

}  // namespace
}  // namespace vsurge::kernels
