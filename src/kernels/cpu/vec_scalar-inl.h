// Vf: sixteen float lanes. This is the definition of the operations that the algorithms in
// *-inl.h are written in; the other levels give the same bytes.
#pragma once

#include "kernels/cpu/half-inl.h"

namespace vsurge::kernels {
namespace {

struct Vf {
  float v[16];
};
constexpr int kLanes = 16;

#define VSURGE_LANES for (int i = 0; i < kLanes; ++i)

inline Vf vset(float x) {
  Vf r;
  VSURGE_LANES r.v[i] = x;
  return r;
}
inline Vf vload(const float* p) {
  Vf r;
  memcpy(r.v, p, sizeof r.v);
  return r;
}
inline void vstore(float* p, const Vf& a) {
  memcpy(p, a.v, sizeof a.v);
}
// p at a multiple of 64 bytes; other threads see it after store_fence() (kernels.h).
inline void vstore_past_caches(float* p, const Vf& a) {
  vstore(p, a);
}
// Only the first n lanes; the others are zero.
inline Vf vload_n(const float* p, int64_t n) {
  Vf r = vset(0);
  memcpy(r.v, p, static_cast<size_t>(n) * 4);
  return r;
}
inline void vstore_n(float* p, const Vf& a, int64_t n) {
  memcpy(p, a.v, static_cast<size_t>(n) * 4);
}
inline Vf vadd(const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] + b.v[i];
  return r;
}
inline Vf vsub(const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] - b.v[i];
  return r;
}
inline Vf vmul(const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] * b.v[i];
  return r;
}
inline Vf vdiv(const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] / b.v[i];
  return r;
}
// a * b + c, rounded once
inline Vf vfma(const Vf& a, const Vf& b, const Vf& c) {
  Vf r;
  VSURGE_LANES r.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return r;
}
// The second operand when either is NaN, as the instruction does.
inline Vf vmax(const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return r;
}
inline Vf vmin(const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return r;
}
inline Vf vabs(const Vf& a) {
  Vf r;
  VSURGE_LANES r.v[i] = __builtin_fabsf(a.v[i]);
  return r;
}
inline Vf vround(const Vf& a) {
  Vf r;
  VSURGE_LANES r.v[i] = __builtin_nearbyintf(a.v[i]);
  return r;
}
// a * 2^n for whole n in -126..127
inline Vf vscale_pow2(const Vf& a, const Vf& n) {
  Vf r;
  VSURGE_LANES r.v[i] =
      a.v[i] * bits_float(static_cast<uint32_t>(static_cast<int32_t>(n.v[i]) + 127) << 23);
  return r;
}
// lane i: bit i of mask ? a : b
inline Vf vselect(uint32_t mask, const Vf& a, const Vf& b) {
  Vf r;
  VSURGE_LANES r.v[i] = ((mask >> i) & 1u) != 0 ? a.v[i] : b.v[i];
  return r;
}
inline uint32_t vless(const Vf& a, const Vf& b) {
  uint32_t m = 0;
  VSURGE_LANES m |= static_cast<uint32_t>(a.v[i] < b.v[i]) << i;
  return m;
}
// Lanes i and i + S, bit S of i clear, become their sum and their difference.
template <int S>
inline Vf vbutterfly(const Vf& a) {
  Vf r;
  VSURGE_LANES r.v[i] = (i & S) == 0 ? a.v[i] + a.v[i ^ S] : a.v[i ^ S] - a.v[i];
  return r;
}
// Halves are folded: lane i with i + 8, then i + 4, i + 2, i + 1.
inline float vreduce_add(const Vf& a) {
  float t[8];
  for (int i = 0; i < 8; ++i) t[i] = a.v[i] + a.v[i + 8];
  for (int i = 0; i < 4; ++i) t[i] += t[i + 4];
  return (t[0] + t[2]) + (t[1] + t[3]);
}
inline float vreduce_max(const Vf& a) {
  float t[8];
  for (int i = 0; i < 8; ++i) t[i] = a.v[i] > a.v[i + 8] ? a.v[i] : a.v[i + 8];
  for (int i = 0; i < 4; ++i) t[i] = t[i] > t[i + 4] ? t[i] : t[i + 4];
  for (int i = 0; i < 2; ++i) t[i] = t[i] > t[i + 2] ? t[i] : t[i + 2];
  return t[0] > t[1] ? t[0] : t[1];
}
// 32 bfloat16: lane i of `even` is element 2i, of `odd` 2i + 1.
inline void vload_bf16_pairs(const uint16_t* p, Vf& even, Vf& odd) {
  VSURGE_LANES {
    even.v[i] = bf16_to_float(p[2 * i]);
    odd.v[i] = bf16_to_float(p[2 * i + 1]);
  }
}
// 64 int8 as floats: lane i of out[j] is element 4i + j.
inline void vload_int8_quads(const int8_t* p, Vf (&out)[4]) {
  for (int j = 0; j < 4; ++j) {
    VSURGE_LANES out[j].v[i] = static_cast<float>(p[4 * i + j]);
  }
}
inline Vf vload_half(const uint16_t* p) {
  Vf r;
  VSURGE_LANES r.v[i] = half_to_float(p[i]);
  return r;
}
// Rounds to int32 (nearest even; INT32_MIN when out of range), stores the low bytes of n lanes and
// returns the sum of the rounded values.
inline int32_t vstore_int8(int8_t* p, const Vf& a, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float x = __builtin_nearbyintf(a.v[i]);
    const int32_t q = x >= -0x1p31f && x < 0x1p31f ? static_cast<int32_t>(x) : INT32_MIN;
    p[i] = static_cast<int8_t>(static_cast<uint32_t>(q) & 0xffu);
    sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(q));
  }
  return sum;
}
// Whole numbers in -128..127 as int8; anything for others.
inline void vstore_whole_int8(int8_t* p, const Vf& a) {
  vstore_int8(p, a, 16);
}
// Lanes below the limit become zero.
inline Vf vzero_below(const Vf& a, const Vf& limit) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] >= limit.v[i] ? a.v[i] : 0.0f;
  return r;
}
// Lanes of a where b is below the limit become zero.
inline Vf vzero_where_below(const Vf& a, const Vf& b, const Vf& limit) {
  Vf r;
  VSURGE_LANES r.v[i] = b.v[i] >= limit.v[i] ? a.v[i] : 0.0f;
  return r;
}
// Lanes below the limit become those of `other`.
inline Vf vreplace_below(const Vf& a, const Vf& limit, const Vf& other) {
  Vf r;
  VSURGE_LANES r.v[i] = a.v[i] >= limit.v[i] ? a.v[i] : other.v[i];
  return r;
}
// Appends the lanes of mask (not 0), and first + their index; how many they are. May write all
// sixteen places.
inline int32_t vcompress(float* values, int32_t* ids, const Vf& a, uint32_t mask, int32_t first) {
  int32_t count = 0;
  VSURGE_LANES {
    if (((mask >> i) & 1u) == 0) continue;
    values[count] = a.v[i];
    ids[count++] = first + i;
  }
  return count;
}

#undef VSURGE_LANES

}  // namespace
}  // namespace vsurge::kernels
