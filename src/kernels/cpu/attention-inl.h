// Attention of one tile of queries over the paged cache; see args.h for tiles, lines and chunks.
//
// Per line and chunk:
//   score[key] = softcap(scale * q.k), q.k by fma in ascending dimension (in pairs of dimensions
//                where keys are bf16: even, then odd); int8 keys as whole numbers, their scale
//                times `scale` at the end
//   maximum, p[key] = exp(score - maximum), sum of p in sixteen lanes over the blocks of 16 keys
//   accumulator[d] = fma(p[key], value[key][d], ...) in ascending key; int8 values as whole
//                numbers, their scale in p
// A key that a line does not see has p = 0 and changes nothing, so a line's bytes do not depend on
// the other lines of its tile.
#pragma once

#include "kernels/args.h"

namespace vsurge::kernels {
namespace {

constexpr float kEmpty = -__builtin_inff();

struct AttendTile {
  const AttendArgs* args;
  int64_t lines;
  int64_t dim;
  int64_t padded;       // dim up to whole vectors
  float* q;             // blocks of kScoreLines lines, each [dim][lines of the block]
  float* p;             // [lines][kAttentionChunk] scores, then probabilities
  float* partial;       // [lines][partial_floats] of the chunk
  float* merged;        // [lines][partial_floats] of the chunks so far
  int64_t first_block;  // blocks of 16 keys of the sequence that the chunk's lines see
  int64_t last_block;   // one behind
  int64_t key_end;      // one behind the last key that any line of the tile sees, in this chunk
};

inline const uint8_t* head_of_page(const AttendArgs& a, int64_t key, bool values) {
  const KvLayer& kv = a.kv;
  const int64_t head_bytes =
      static_cast<int64_t>(kv.head_dim) * kv.page_size * kv_value_bytes(kv.dtype);
  return kv.base + a.pages[key / kv.page_size] * kv.page_stride +
         (a.kv_head + (values ? kv.kv_heads : 0)) * head_bytes;
}
// Keys of a block of 16.
inline const uint8_t* key_block(const AttendArgs& a, int64_t block) {
  return head_of_page(a, block * 16, false) +
         block * 16 % a.kv.page_size * a.kv.head_dim * kv_value_bytes(a.kv.dtype);
}
// Values of a block of 16.
inline const uint8_t* value_block(const AttendArgs& a, int64_t block) {
  return head_of_page(a, block * 16, true) +
         block * 16 % a.kv.page_size * a.kv.head_dim * kv_value_bytes(a.kv.dtype);
}
// Scales of a block of 16 keys, or of their values; int8 only.
inline const float* block_scales(const AttendArgs& a, int64_t block, bool values) {
  const KvLayer& kv = a.kv;
  const int64_t key = block * 16;
  const uint8_t* page = kv.base + a.pages[key / kv.page_size] * kv.page_stride;
  return kv_scales(kv, page, a.kv_head, values) + key % kv.page_size;
}

// How many lines share one pass over keys, and one over values. Sixteen accumulators leave room
// for operands in 32 registers; two-register vectors take less.
#ifdef VSURGE_WIDE_REGISTERS
constexpr int kScoreLines = 8, kScoreBlocks = 2, kValueLines = 4, kValueVectors = 4;
#else
constexpr int kScoreLines = 4, kScoreBlocks = 1, kValueLines = 2, kValueVectors = 2;
#endif

// q.k for L lines and B blocks of 16 keys.
template <DType T, int L, int B>
inline void score_keys(const AttendTile& t, const float* q, int64_t line, int64_t block) {
  const uint8_t* keys[B];
  for (int b = 0; b < B; ++b) keys[b] = key_block(*t.args, block + b);
  Vf s[L][B];
  for (int l = 0; l < L; ++l) {
    for (int b = 0; b < B; ++b) s[l][b] = vset(0);
  }
  constexpr int kStep = T == DType::kI8 ? 4 : 2;  // dimensions that lie together
  for (int64_t d = 0; d < t.dim; d += kStep) {
    Vf k[B][kStep];
    for (int b = 0; b < B; ++b) {
      if constexpr (T == DType::kF32) {
        k[b][0] = vload(reinterpret_cast<const float*>(keys[b]) + d * 16);
        k[b][1] = vload(reinterpret_cast<const float*>(keys[b]) + d * 16 + 16);
      } else if constexpr (T == DType::kI8) {
        vload_int8_quads(reinterpret_cast<const int8_t*>(keys[b]) + d * 16, k[b]);
      } else {
        vload_bf16_pairs(reinterpret_cast<const uint16_t*>(keys[b]) + d * 16, k[b][0], k[b][1]);
      }
    }
    for (int l = 0; l < L; ++l) {
      for (int i = 0; i < kStep; ++i) {
        const Vf x = vset(q[(d + i) * L + l]);
        for (int b = 0; b < B; ++b) s[l][b] = vfma(x, k[b][i], s[l][b]);
      }
    }
  }
  const int64_t place = block * 16 % kAttentionChunk;
  const Vf scale = vset(t.args->scale);
  for (int b = 0; b < B; ++b) {
    Vf factor = scale;
    if constexpr (T == DType::kI8) {
      factor = vmul(scale, vload(block_scales(*t.args, block + b, false)));
    }
    for (int l = 0; l < L; ++l) {
      vstore(t.p + (line + l) * kAttentionChunk + place + b * 16, vmul(s[l][b], factor));
    }
  }
}

template <DType T, int L>
inline void score_lines(const AttendTile& t, const float* q, int64_t line) {
  int64_t block = t.first_block;
  for (; block + kScoreBlocks <= t.last_block; block += kScoreBlocks) {
    score_keys<T, L, kScoreBlocks>(t, q, line, block);
  }
  for (; block < t.last_block; ++block) score_keys<T, L, 1>(t, q, line, block);
}

template <int N>
struct Count {
  static constexpr int value = N;
};
// Calls f(Count<n>) for n in 1..N chosen at run time.
template <int N, class F>
inline void with_count(int64_t n, F&& f) {
  if constexpr (N >= 1) {
    if (n == N) return f(Count<N>{});
    with_count<N - 1>(n, static_cast<F&&>(f));
  }
}

template <DType T>
void score_tile(const AttendTile& t) {
  for (int64_t line = 0; line < t.lines; line += kScoreLines) {
    const int64_t n = t.lines - line < kScoreLines ? t.lines - line : kScoreLines;
    const float* q = t.q + line * t.dim;
    with_count<kScoreLines>(
        n, [&](auto count) { score_lines<T, decltype(count)::value>(t, q, line); });
  }
}

// Lanes of a block that lie in [low, high].
inline uint32_t seen_lanes(int64_t block, int64_t low, int64_t high) {
  const int64_t first = block * 16;
  if (high < first || low > first + 15) return 0;
  uint32_t mask = 0xffffu;
  if (high < first + 15) mask &= (1u << (high - first + 1)) - 1u;
  if (low > first) mask &= ~((1u << (low - first)) - 1u);
  return mask;
}

// Scores of one line become probabilities; its maximum and sum go to the partial.
inline void softmax_line(const AttendTile& t, int64_t line) {
  const AttendArgs& a = *t.args;
  const int64_t position = a.first_position + line / a.heads_per_kv;
  const int64_t low = a.window > 0 && position >= a.window ? position - a.window + 1 : 0;
  const int64_t base = t.first_block * 16 / kAttentionChunk * (kAttentionChunk / 16);
  float* p = t.p + line * kAttentionChunk;
  float* partial = t.partial + line * partial_floats(a.kv.head_dim);
  const Vf empty = vset(kEmpty);
  Vf top = empty;
  for (int64_t b = t.first_block; b < t.last_block; ++b) {
    float* at = p + (b - base) * 16;
    Vf s = vload(at);
    if (a.softcap > 0) s = vmul(vset(a.softcap), vtanh(vdiv(s, vset(a.softcap))));
    s = vselect(seen_lanes(b, low, position), s, empty);
    vstore(at, s);
    top = vmax(top, s);
  }
  const float maximum = vreduce_max(top);
  Vf sum = vset(0);
  for (int64_t b = t.first_block; b < t.last_block; ++b) {
    float* at = p + (b - base) * 16;
    const uint32_t seen = seen_lanes(b, low, position);
    const Vf e = vselect(seen, vexp(vsub(vload(at), vset(maximum))), vset(0));
    sum = vadd(sum, e);
    if (a.kv.dtype == DType::kI8) {  // from here on p carries the scale of its value
      vstore(at, vselect(seen, vmul(e, vload(block_scales(a, b, true))), vset(0)));
    } else {
      vstore(at, e);
    }
  }
  partial[t.padded] = maximum;
  partial[t.padded + 1] = vreduce_add(sum);
}

// accumulator += p[key] * value[key] for L lines and V vectors of dimensions, over one block.
template <int L, int V>
inline void add_block(const AttendTile& t, const float* p, const uint8_t* values, int64_t keys,
                      int64_t d, Vf (&acc)[L][V]) {
  if (t.args->kv.dtype == DType::kF32) {
    const float* v = reinterpret_cast<const float*>(values) + d;
    for (int64_t key = 0; key < keys; ++key) {
      for (int i = 0; i < V; ++i) {
        const Vf x = vload(v + key * t.dim + i * 16);
        for (int l = 0; l < L; ++l) {
          acc[l][i] = vfma(vset(p[l * kAttentionChunk + key]), x, acc[l][i]);
        }
      }
    }
    return;
  }
  if (t.args->kv.dtype == DType::kI8) {
    const int8_t* v = reinterpret_cast<const int8_t*>(values) + d * 4;
    for (int64_t key = 0; key < keys; key += 4) {
      const int64_t n = keys - key < 4 ? keys - key : 4;
      for (int i = 0; i < V; ++i) {
        Vf x[4];
        vload_int8_quads(v + key * t.dim + i * 64, x);
        for (int64_t j = 0; j < n; ++j) {
          for (int l = 0; l < L; ++l) {
            acc[l][i] = vfma(vset(p[l * kAttentionChunk + key + j]), x[j], acc[l][i]);
          }
        }
      }
    }
    return;
  }
  const uint16_t* v = reinterpret_cast<const uint16_t*>(values) + d * 2;
  for (int64_t key = 0; key < keys; key += 2) {
    const bool both = key + 1 < keys;  // the slot behind the last key holds no value yet
    for (int i = 0; i < V; ++i) {
      Vf even, odd;
      vload_bf16_pairs(v + key * t.dim + i * 32, even, odd);
      for (int l = 0; l < L; ++l) {
        acc[l][i] = vfma(vset(p[l * kAttentionChunk + key]), even, acc[l][i]);
        if (both) acc[l][i] = vfma(vset(p[l * kAttentionChunk + key + 1]), odd, acc[l][i]);
      }
    }
  }
}

template <int L, int V>
inline void values_strip(const AttendTile& t, int64_t line, int64_t d) {
  Vf acc[L][V];
  for (int l = 0; l < L; ++l) {
    for (int i = 0; i < V; ++i) acc[l][i] = vset(0);
  }
  const float* p = t.p + line * kAttentionChunk;
  for (int64_t b = t.first_block; b < t.last_block; ++b) {
    const int64_t left = t.key_end - b * 16;
    add_block<L, V>(t, p + b * 16 % kAttentionChunk, value_block(*t.args, b), left < 16 ? left : 16,
                    d, acc);
  }
  const int64_t stride = partial_floats(t.args->kv.head_dim);
  for (int l = 0; l < L; ++l) {
    for (int i = 0; i < V; ++i) {
      vstore(t.partial + (line + l) * stride + d + i * 16, acc[l][i]);
    }
  }
}

template <int L>
inline void values_lines(const AttendTile& t, int64_t line) {
  int64_t d = 0;
  for (; d + kValueVectors * 16 <= t.padded; d += kValueVectors * 16) {
    values_strip<L, kValueVectors>(t, line, d);
  }
  for (; d < t.padded; d += 16) values_strip<L, 1>(t, line, d);
}

void values_tile(const AttendTile& t) {
  for (int64_t line = 0; line < t.lines; line += kValueLines) {
    const int64_t n = t.lines - line < kValueLines ? t.lines - line : kValueLines;
    with_count<kValueLines>(n, [&](auto count) { values_lines<decltype(count)::value>(t, line); });
  }
}

// merged = merged and chunk, chunk the later one. An empty merged takes the chunk as it is.
inline void merge_partial(float* merged, const float* chunk, int64_t padded) {
  const float before = merged[padded], maximum = chunk[padded];
  if (maximum == kEmpty) return;
  if (before == kEmpty) {
    for (int64_t i = 0; i < padded; i += 16) vstore(merged + i, vload(chunk + i));
    merged[padded] = maximum;
    merged[padded + 1] = chunk[padded + 1];
    return;
  }
  const float top = before > maximum ? before : maximum;
  float weights[16];
  vstore_n(weights, vset(0), 16);
  weights[0] = before - top;
  weights[1] = maximum - top;
  vstore(weights, vexp(vload(weights)));
  const Vf x = vset(weights[0]), y = vset(weights[1]);
  merged[padded] = top;
  merged[padded + 1] = merged[padded + 1] * weights[0] + chunk[padded + 1] * weights[1];
  for (int64_t i = 0; i < padded; i += 16) {
    vstore(merged + i, vfma(vload(chunk + i), y, vmul(vload(merged + i), x)));
  }
}

inline void finish_line(const float* merged, int64_t dim, int64_t padded, float* out) {
  // No score above -inf, or only NaN: the lines hold nothing. The row must not look like an answer.
  const Vf inverse =
      vset(merged[padded] == kEmpty ? __builtin_nanf("") : 1.0f / merged[padded + 1]);
  for (int64_t i = 0; i < dim; i += 16) {
    // + 0 makes a negative zero positive: adding p = 0 terms may have done so for some tiles only
    const Vf y = vadd(vmul(vload(merged + i), inverse), vset(0));
    if (dim - i >= 16) {
      vstore(out + i, y);
    } else {
      vstore_n(out + i, y, dim - i);
    }
  }
}

// The queries of the tile, dimension by dimension, in blocks of kScoreLines lines.
inline void gather_queries(const AttendTile& t) {
  const AttendArgs& a = *t.args;
  for (int64_t line = 0; line < t.lines; ++line) {
    const float* q = a.q + line / a.heads_per_kv * a.q_stride + line % a.heads_per_kv * t.dim;
    const int64_t block = line / kScoreLines * kScoreLines;
    const int64_t n = t.lines - block < kScoreLines ? t.lines - block : kScoreLines;
    float* to = t.q + block * t.dim + (line - block);
    for (int64_t d = 0; d < t.dim; ++d) to[d * n] = q[d];
  }
}

// False when no line of the tile sees a key of this chunk.
inline bool enter_chunk(AttendTile& t, int64_t chunk) {
  const AttendArgs& a = *t.args;
  const int64_t begin = chunk * kAttentionChunk;
  const int64_t last = a.first_position + a.tokens - 1;
  const int64_t low =
      a.window > 0 && a.first_position >= a.window ? a.first_position - a.window + 1 : 0;
  const int64_t end = begin + kAttentionChunk < last + 1 ? begin + kAttentionChunk : last + 1;
  const int64_t first = begin > low ? begin : low;
  if (first >= end) return false;
  t.first_block = first / 16;
  t.last_block = (end + 15) / 16;
  t.key_end = end;
  return true;
}

void attend(const AttendArgs& a) {
  AttendTile t{};
  t.args = &a;
  t.lines = static_cast<int64_t>(a.tokens) * a.heads_per_kv;
  t.dim = a.kv.head_dim;
  t.padded = padded_head_dim(a.kv.head_dim);
  const int64_t stride = partial_floats(a.kv.head_dim);
  t.p = a.scratch;
  t.q = t.p + t.lines * kAttentionChunk;
  float* spare = t.q + t.lines * t.padded;
  t.merged = spare + t.lines * stride;
  gather_queries(t);
  for (int64_t line = 0; line < t.lines; ++line) t.merged[line * stride + t.padded] = kEmpty;
  for (int64_t chunk = a.chunk_begin; chunk < a.chunk_end; ++chunk) {
    t.partial = a.partials != nullptr ? a.partials + chunk * t.lines * stride : spare;
    if (!enter_chunk(t, chunk)) {
      for (int64_t line = 0; line < t.lines; ++line) t.partial[line * stride + t.padded] = kEmpty;
      continue;
    }
    if (a.kv.dtype == DType::kF32) {
      score_tile<DType::kF32>(t);
    } else if (a.kv.dtype == DType::kI8) {
      score_tile<DType::kI8>(t);
    } else {
      score_tile<DType::kBF16>(t);
    }
    for (int64_t line = 0; line < t.lines; ++line) softmax_line(t, line);
    values_tile(t);
    if (a.partials != nullptr) continue;
    for (int64_t line = 0; line < t.lines; ++line) {
      merge_partial(t.merged + line * stride, t.partial + line * stride, t.padded);
    }
  }
  if (a.partials != nullptr) return;
  for (int64_t line = 0; line < t.lines; ++line) {
    float* out = a.out + line / a.heads_per_kv * a.out_stride + line % a.heads_per_kv * t.dim;
    finish_line(t.merged + line * stride, t.dim, t.padded, out);
  }
}

void merge(const MergeArgs& a) {
  const int64_t lines = static_cast<int64_t>(a.tokens) * a.heads_per_kv;
  const int64_t stride = partial_floats(a.head_dim), padded = padded_head_dim(a.head_dim);
  for (int64_t line = 0; line < lines; ++line) {
    a.scratch[padded] = kEmpty;
    for (int64_t chunk = 0; chunk < a.chunks; ++chunk) {
      merge_partial(a.scratch, a.partials + (chunk * lines + line) * stride, padded);
    }
    float* out = a.out + line / a.heads_per_kv * a.out_stride + line % a.heads_per_kv * a.head_dim;
    finish_line(a.scratch, a.head_dim, padded, out);
  }
}

}  // namespace
}  // namespace vsurge::kernels
