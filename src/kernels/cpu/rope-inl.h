// Per-head norm and rotation of queries and keys, and storing keys and values in the cache.
#pragma once

#include "kernels/cpu/rows-inl.h"

namespace vsurge::kernels {
namespace {

// (a, b) -> (a cos - b sin, b cos + a sin) for pairs (x[i], x[i + pairs])
inline void rotate_halves(float* x, const float* cosines, const float* sines, int64_t pairs) {
  for (int64_t i = 0; i < pairs; i += 16) {
    const int64_t n = pairs - i < 16 ? pairs - i : 16;
    const Vf a = vload_n(x + i, n), b = vload_n(x + pairs + i, n);
    const Vf c = vload_n(cosines + i, n), s = vload_n(sines + i, n);
    vstore_n(x + i, vsub(vmul(a, c), vmul(b, s)), n);
    vstore_n(x + pairs + i, vadd(vmul(b, c), vmul(a, s)), n);
  }
}

// The same for pairs (x[2i], x[2i + 1]).
inline void rotate_neighbours(float* x, const float* cosines, const float* sines, int64_t pairs) {
  for (int64_t i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = a * cosines[i] - b * sines[i];
    x[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

inline void norm_and_rotate(const RopeStoreArgs& a, float* x, const float* norm, int64_t token) {
  if (norm != nullptr) norm_row(x, norm, a.norm_eps, a.kv.head_dim, x);
  const float* cosines = a.cosines + token * a.angle_stride;
  const float* sines = a.sines + token * a.angle_stride;
  if (a.interleaved) {
    rotate_neighbours(x, cosines, sines, a.rotary_dim / 2);
  } else {
    rotate_halves(x, cosines, sines, a.rotary_dim / 2);
  }
}

// One head of a token as int8, dimension d at q[d / 4 * quad + d % 4 * next]; its scale.
inline void store_quantised(const float* x, int64_t dim, int8_t* q, int64_t quad, int64_t next,
                            float* scale) {
  Vf most = vset(0), strange = vset(0);
  for (int64_t d = 0; d < dim; d += 16) {
    const Vf v = vload_n(x + d, dim - d < 16 ? dim - d : 16);
    most = vmax(vabs(v), most);
    strange = vadd(strange, vsub(v, v));  // NaN once a value is NaN or infinite
  }
  const float top = vreduce_max(most);
  // NaN goes on to the scores, as it would unquantised.
  const bool finite = vreduce_add(strange) == 0;
  *scale = finite ? top * (1.0f / 127) : __builtin_nanf("");
  const Vf factor = vset(finite && top > 0 ? 127.0f / top : 0.0f);
  int8_t codes[16];
  for (int64_t d = 0; d < dim; d += 16) {
    const int64_t n = dim - d < 16 ? dim - d : 16;
    vstore_int8(codes, vmul(vload_n(x + d, n), factor), n);
    for (int64_t i = 0; i < n; ++i) q[(d + i) / 4 * quad + i % 4 * next] = codes[i];
  }
}

inline void store_int8_key_value(const KvLayer& kv, const float* key, const float* value,
                                 int64_t head, int32_t slot) {
  const int64_t dim = kv.head_dim, place = slot % kv.page_size;
  uint8_t* page = kv.base + slot / kv.page_size * kv.page_stride;
  int8_t* keys = reinterpret_cast<int8_t*>(page) + head * kv.page_size * dim;
  int8_t* values = keys + static_cast<int64_t>(kv.kv_heads) * kv.page_size * dim;
  float* key_scales = const_cast<float*>(kv_scales(kv, page, head, false));
  float* value_scales = const_cast<float*>(kv_scales(kv, page, head, true));
  keys += place / 16 * 16 * dim + place % 16 * 4;
  store_quantised(key, dim, keys, 64, 1, key_scales + place);
  values += place / 4 * 4 * dim + place % 4;
  store_quantised(value, dim, values, 16, 4, value_scales + place);
}

inline void store_key_value(const KvLayer& kv, const float* key, const float* value, int64_t head,
                            int32_t slot) {
  if (kv.dtype == DType::kI8) return store_int8_key_value(kv, key, value, head, slot);
  const int64_t dim = kv.head_dim, place = slot % kv.page_size;
  const int64_t head_values = dim * kv.page_size;
  const int64_t bytes = kv.dtype == DType::kF32 ? 4 : 2;
  uint8_t* keys = kv.base + slot / kv.page_size * kv.page_stride + head * head_values * bytes;
  uint8_t* values = keys + kv.kv_heads * head_values * bytes;
  const int64_t lane = place % 16;
  keys += place / 16 * dim * 16 * bytes;
  if (kv.dtype == DType::kF32) {
    float* k = reinterpret_cast<float*>(keys);
    for (int64_t d = 0; d < dim; ++d) k[d * 16 + lane] = key[d];
    memcpy(values + place * dim * 4, value, static_cast<size_t>(dim) * 4);
    return;
  }
  uint16_t halves[2][kHeadDimMax];
  for (int64_t d = 0; d < dim; ++d) halves[0][d] = float_to_bf16(key[d]);
  for (int64_t d = 0; d < dim; ++d) halves[1][d] = float_to_bf16(value[d]);
  for (int64_t d = 0; d < dim; d += 2) memcpy(keys + (d * 8 + lane) * 4, halves[0] + d, 4);
  uint16_t* v = reinterpret_cast<uint16_t*>(values) + place / 2 * dim * 2 + place % 2;
  for (int64_t d = 0; d < dim; ++d) v[d * 2] = halves[1][d];
}

void rope_store(const RopeStoreArgs& a) {
  const int64_t dim = a.kv.head_dim;
  for (int64_t t = a.token_begin; t < a.token_end; ++t) {
    float* q = a.qkv + t * a.qkv_stride;
    float* k = q + a.heads * dim;
    float* v = k + a.kv.kv_heads * dim;
    for (int64_t h = 0; h < a.heads; ++h) norm_and_rotate(a, q + h * dim, a.q_norm, t);
    for (int64_t h = 0; h < a.kv.kv_heads; ++h) {
      norm_and_rotate(a, k + h * dim, a.k_norm, t);
      store_key_value(a.kv, k + h * dim, v + h * dim, h, a.slots[t]);
    }
  }
}

}  // namespace
}  // namespace vsurge::kernels
