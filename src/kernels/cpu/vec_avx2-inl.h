// Vf in two 256-bit registers; see vec_scalar-inl.h for the meaning of each operation.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/half-inl.h"

namespace vsurge::kernels {
namespace {

struct Vf {
  __m256 lo, hi;
};
constexpr int kLanes = 16;

inline Vf vset(float x) {
  return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline Vf vload(const float* p) {
  return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline void vstore(float* p, Vf a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline void vstore_past_caches(float* p, Vf a) {
  _mm256_stream_ps(p, a.lo);
  _mm256_stream_ps(p + 8, a.hi);
}
// Lanes whose index is below n, as a mask for maskload and maskstore.
inline __m256i lanes_below(int64_t n, int first) {
  const __m256i index =
      _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
}
inline Vf vload_n(const float* p, int64_t n) {
  return {_mm256_maskload_ps(p, lanes_below(n, 0)), _mm256_maskload_ps(p + 8, lanes_below(n, 8))};
}
inline void vstore_n(float* p, Vf a, int64_t n) {
  _mm256_maskstore_ps(p, lanes_below(n, 0), a.lo);
  _mm256_maskstore_ps(p + 8, lanes_below(n, 8), a.hi);
}
inline Vf vadd(Vf a, Vf b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline Vf vsub(Vf a, Vf b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline Vf vmul(Vf a, Vf b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline Vf vdiv(Vf a, Vf b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline Vf vfma(Vf a, Vf b, Vf c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline Vf vmax(Vf a, Vf b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline Vf vmin(Vf a, Vf b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline Vf vabs(Vf a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline Vf vround(Vf a) {
  return {_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline __m256 pow2(__m256 n) {
  const __m256i e = _mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
inline Vf vscale_pow2(Vf a, Vf n) {
  return vmul(a, {pow2(n.lo), pow2(n.hi)});
}
// Eight bits as eight lanes of ones or zeros.
inline __m256 lanes_of(uint32_t mask) {
  const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i m = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask)), bits);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(m, bits));
}
inline Vf vselect(uint32_t mask, Vf a, Vf b) {
  return {_mm256_blendv_ps(b.lo, a.lo, lanes_of(mask)),
          _mm256_blendv_ps(b.hi, a.hi, lanes_of(mask >> 8))};
}
inline uint32_t vless(Vf a, Vf b) {
  const int lo = _mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ));
  const int hi = _mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ));
  return static_cast<uint32_t>(lo) | static_cast<uint32_t>(hi) << 8;
}
template <int S>
inline __m256 butterfly8(__m256 a) {
  __m256 b;
  if constexpr (S == 1) b = _mm256_permute_ps(a, 0xb1);
  if constexpr (S == 2) b = _mm256_permute_ps(a, 0x4e);
  if constexpr (S == 4) b = _mm256_permute2f128_ps(a, a, 1);
  constexpr int kUpper = S == 1 ? 0xaa : S == 2 ? 0xcc : 0xf0;
  return _mm256_blend_ps(_mm256_add_ps(a, b), _mm256_sub_ps(b, a), kUpper);
}
template <int S>
inline Vf vbutterfly(Vf a) {
  if constexpr (S == 8) return {_mm256_add_ps(a.lo, a.hi), _mm256_sub_ps(a.lo, a.hi)};
  if constexpr (S != 8) return {butterfly8<S>(a.lo), butterfly8<S>(a.hi)};
}
inline float vreduce_add(Vf a) {
  const __m256 t = _mm256_add_ps(a.lo, a.hi);
  const __m128 u = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
  const __m128 w = _mm_add_ps(u, _mm_movehl_ps(u, u));
  return _mm_cvtss_f32(_mm_add_ss(w, _mm_shuffle_ps(w, w, 1)));
}
inline float vreduce_max(Vf a) {
  const __m256 t = _mm256_max_ps(a.lo, a.hi);
  const __m128 u = _mm_max_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
  const __m128 w = _mm_max_ps(u, _mm_movehl_ps(u, u));
  return _mm_cvtss_f32(_mm_max_ss(w, _mm_shuffle_ps(w, w, 1)));
}
inline void vload_bf16_pairs(const uint16_t* p, Vf& even, Vf& odd) {
  const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 16));
  const __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  even = {_mm256_castsi256_ps(_mm256_slli_epi32(a, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
  odd = {_mm256_castsi256_ps(_mm256_and_si256(a, high)),
         _mm256_castsi256_ps(_mm256_and_si256(b, high))};
}
inline void vload_int8_quads(const int8_t* p, Vf (&out)[4]) {
  const auto widen = [](__m256i u, int left) {
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(u, left), 24));
  };
  const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
  for (int j = 0; j < 4; ++j) out[j] = {widen(a, 24 - 8 * j), widen(b, 24 - 8 * j)};
}
inline Vf vload_half(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
// n is 16 or 8 or 4 or less: groups are whole vectors, so the tail is rare.
inline int32_t vstore_int8(int8_t* p, Vf a, int64_t n) {
  alignas(32) int32_t q[16];
  _mm256_store_si256(reinterpret_cast<__m256i*>(q), _mm256_cvtps_epi32(a.lo));
  _mm256_store_si256(reinterpret_cast<__m256i*>(q + 8), _mm256_cvtps_epi32(a.hi));
  uint32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    p[i] = static_cast<int8_t>(q[i]);
    sum += static_cast<uint32_t>(q[i]);
  }
  return static_cast<int32_t>(sum);
}
inline void vstore_whole_int8(int8_t* p, Vf a) {
  const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi));
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
inline Vf vzero_below(Vf a, Vf limit) {
  return {_mm256_and_ps(a.lo, _mm256_cmp_ps(a.lo, limit.lo, _CMP_GE_OQ)),
          _mm256_and_ps(a.hi, _mm256_cmp_ps(a.hi, limit.hi, _CMP_GE_OQ))};
}
inline Vf vzero_where_below(Vf a, Vf b, Vf limit) {
  return {_mm256_and_ps(a.lo, _mm256_cmp_ps(b.lo, limit.lo, _CMP_GE_OQ)),
          _mm256_and_ps(a.hi, _mm256_cmp_ps(b.hi, limit.hi, _CMP_GE_OQ))};
}
inline Vf vreplace_below(Vf a, Vf limit, Vf other) {
  return {_mm256_blendv_ps(other.lo, a.lo, _mm256_cmp_ps(a.lo, limit.lo, _CMP_GE_OQ)),
          _mm256_blendv_ps(other.hi, a.hi, _mm256_cmp_ps(a.hi, limit.hi, _CMP_GE_OQ))};
}
// For every mask of eight lanes: the indices of its lanes, a byte each.
struct LanesOfMask {
  uint64_t indices[256];
  constexpr LanesOfMask() : indices{} {
    for (uint32_t mask = 0; mask < 256; ++mask) {
      int at = 0;
      for (uint64_t lane = 0; lane < 8; ++lane) {
        if (((mask >> lane) & 1u) != 0) indices[mask] |= lane << (8 * at++);
      }
    }
  }
};
constexpr LanesOfMask kLanesOfMask;
inline __m256i lanes_first(uint32_t mask) {
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(kLanesOfMask.indices[mask])));
}
inline int32_t vcompress(float* values, int32_t* ids, Vf a, uint32_t mask, int32_t first) {
  const uint32_t low = mask & 0xffu, high = mask >> 8;
  const int32_t count = __builtin_popcount(low);
  const __m256i l = lanes_first(low), h = lanes_first(high);
  _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(a.lo, l));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(ids),
                      _mm256_add_epi32(l, _mm256_set1_epi32(first)));
  _mm256_storeu_ps(values + count, _mm256_permutevar8x32_ps(a.hi, h));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(ids + count),
                      _mm256_add_epi32(h, _mm256_set1_epi32(first + 8)));
  return count + __builtin_popcount(high);
}

}  // namespace
}  // namespace vsurge::kernels
