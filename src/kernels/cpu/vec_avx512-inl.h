// Vf in one 512-bit register; see vec_scalar-inl.h for the meaning of each operation.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/half-inl.h"

namespace vsurge::kernels {
namespace {

using Vf = __m512;
constexpr int kLanes = 16;

inline __mmask16 first_lanes(int64_t n) {
  return static_cast<__mmask16>((1u << n) - 1u);
}

inline Vf vset(float x) {
  return _mm512_set1_ps(x);
}
inline Vf vload(const float* p) {
  return _mm512_loadu_ps(p);
}
inline void vstore(float* p, Vf a) {
  _mm512_storeu_ps(p, a);
}
inline void vstore_past_caches(float* p, Vf a) {
  _mm512_stream_ps(p, a);
}
inline Vf vload_n(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
}
inline void vstore_n(float* p, Vf a, int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a);
}
inline Vf vadd(Vf a, Vf b) {
  return _mm512_add_ps(a, b);
}
inline Vf vsub(Vf a, Vf b) {
  return _mm512_sub_ps(a, b);
}
inline Vf vmul(Vf a, Vf b) {
  return _mm512_mul_ps(a, b);
}
inline Vf vdiv(Vf a, Vf b) {
  return _mm512_div_ps(a, b);
}
inline Vf vfma(Vf a, Vf b, Vf c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vf vmax(Vf a, Vf b) {
  return _mm512_max_ps(a, b);
}
inline Vf vmin(Vf a, Vf b) {
  return _mm512_min_ps(a, b);
}
inline Vf vabs(Vf a) {
  return _mm512_abs_ps(a);
}
inline Vf vround(Vf a) {
  return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline Vf vscale_pow2(Vf a, Vf n) {
  const __m512i e = _mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127));
  return _mm512_mul_ps(a, _mm512_castsi512_ps(_mm512_slli_epi32(e, 23)));
}
inline Vf vselect(uint32_t mask, Vf a, Vf b) {
  return _mm512_mask_blend_ps(static_cast<__mmask16>(mask), b, a);
}
inline uint32_t vless(Vf a, Vf b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
template <int S>
inline Vf vbutterfly(Vf a) {
  constexpr __mmask16 kUpper = S == 1 ? 0xaaaa : S == 2 ? 0xcccc : S == 4 ? 0xf0f0 : 0xff00;
  Vf b;
  if constexpr (S == 1) b = _mm512_permute_ps(a, 0xb1);
  if constexpr (S == 2) b = _mm512_permute_ps(a, 0x4e);
  if constexpr (S == 4) b = _mm512_shuffle_f32x4(a, a, 0xb1);
  if constexpr (S == 8) b = _mm512_shuffle_f32x4(a, a, 0x4e);
  return _mm512_mask_sub_ps(_mm512_add_ps(a, b), kUpper, b, a);
}
inline float vreduce_add(Vf a) {
  const __m256 t = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  const __m128 u = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
  const __m128 w = _mm_add_ps(u, _mm_movehl_ps(u, u));
  return _mm_cvtss_f32(_mm_add_ss(w, _mm_shuffle_ps(w, w, 1)));
}
inline float vreduce_max(Vf a) {
  const __m256 t = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  const __m128 u = _mm_max_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
  const __m128 w = _mm_max_ps(u, _mm_movehl_ps(u, u));
  return _mm_cvtss_f32(_mm_max_ss(w, _mm_shuffle_ps(w, w, 1)));
}
inline void vload_bf16_pairs(const uint16_t* p, Vf& even, Vf& odd) {
  const __m512i u = _mm512_loadu_si512(p);
  even = _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
  odd = _mm512_castsi512_ps(_mm512_and_si512(u, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}
inline void vload_int8_quads(const int8_t* p, Vf (&out)[4]) {
  const __m512i u = _mm512_loadu_si512(p);
  out[0] = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(u, 24), 24));
  out[1] = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(u, 16), 24));
  out[2] = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(u, 8), 24));
  out[3] = _mm512_cvtepi32_ps(_mm512_srai_epi32(u, 24));
}
inline Vf vload_half(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline int32_t vstore_int8(int8_t* p, Vf a, int64_t n) {
  const __m512i q = _mm512_maskz_cvtps_epi32(first_lanes(n), a);
  _mm_mask_storeu_epi8(p, first_lanes(n), _mm512_cvtepi32_epi8(q));
  return _mm512_reduce_add_epi32(q);
}
inline void vstore_whole_int8(int8_t* p, Vf a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}
inline Vf vzero_below(Vf a, Vf limit) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, limit, _CMP_GE_OQ), a);
}
inline Vf vzero_where_below(Vf a, Vf b, Vf limit) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(b, limit, _CMP_GE_OQ), a);
}
inline Vf vreplace_below(Vf a, Vf limit, Vf other) {
  return _mm512_mask_mov_ps(other, _mm512_cmp_ps_mask(a, limit, _CMP_GE_OQ), a);
}
inline int32_t vcompress(float* values, int32_t* ids, Vf a, uint32_t mask, int32_t first) {
  const __mmask16 lanes = static_cast<__mmask16>(mask);
  const __m512i index =
      _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                       _mm512_set1_epi32(first));
  _mm512_storeu_ps(values, _mm512_maskz_compress_ps(lanes, a));
  _mm512_storeu_si512(ids, _mm512_maskz_compress_epi32(lanes, index));
  return __builtin_popcount(mask);
}

}  // namespace
}  // namespace vsurge::kernels
