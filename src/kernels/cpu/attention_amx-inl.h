// The products of attention_dot-inl.h with AMX: up to two tiles of sixteen rows by two of sixteen
// keys or dimensions. Keys and values are the second operand as they lie in the cache. Sums of
// bfloat16 are those of tdpbf16ps (linear_amx-inl.h), of 2 * key_words dimensions or 32 keys at a
// time; all shapes of a batch use it, so a token has the same bytes in a prompt and alone.
#pragma once

#include "kernels/cpu/attention_dot-inl.h"
#include "kernels/cpu/linear_amx-inl.h"

namespace vsurge::kernels {
namespace {

enum class Product : uint8_t { kBF16, kScores, kValues };

#define VSURGE_TILE_DOT(c, a, b)                \
  if constexpr (P == Product::kBF16) {          \
    _tile_dpbf16ps(c, a, b);                    \
  } else if constexpr (P == Product::kScores) { \
    _tile_dpbssd(c, a, b);                      \
  } else {                                      \
    _tile_dpbusd(c, a, b);                      \
  }

// sums += rows at x0 (and x1) times columns at w0 (and w1).
template <Product P, int T, int V>
VSURGE_INLINE inline void tile_dots(const uint8_t* x0, const uint8_t* x1, int64_t x_stride,
                                    const uint8_t* w0, const uint8_t* w1, int64_t w_stride) {
  _tile_loadd(6, w0, w_stride);
  _tile_loadd(4, x0, x_stride);
  VSURGE_TILE_DOT(0, 4, 6)
  if constexpr (V == 2) {
    _tile_loadd(7, w1, w_stride);
    VSURGE_TILE_DOT(1, 4, 7)
  }
  if constexpr (T == 2) {
    _tile_loadd(5, x1, x_stride);
    VSURGE_TILE_DOT(2, 5, 6)
    if constexpr (V == 2) {
      VSURGE_TILE_DOT(3, 5, 7)
    }
  }
}

template <int T, int V>
VSURGE_INLINE inline void store_tiles(void* to, void* second, int64_t stride) {
  char* at = static_cast<char*>(to);
  _tile_stored(0, at, stride);
  if constexpr (V == 2) _tile_stored(1, at + 64, stride);
  char* below = static_cast<char*>(second);
  if constexpr (T == 2) _tile_stored(2, below, stride);
  if constexpr (T == 2 && V == 2) _tile_stored(3, below + 64, stride);
  asm volatile("" ::: "memory");  // the compiler does not know what was written
}

// Words of four bytes of a row of q that one product takes: the same number each time, so that one
// configuration of the tiles does for all.
inline int64_t key_words(const DotTile& t) {
  const int64_t words = t.base.dim / (t.integer ? 4 : 2);
  int64_t n = words < 16 ? words : 16;
  while (words % n != 0) --n;
  return n;
}

template <Product P, int T, int V>
void amx_score_blocks(const DotTile& t, int64_t row, int64_t block) {
  const int64_t words = key_words(t), steps = t.base.dim / (t.integer ? 4 : 2) / words;
  const uint8_t* q = t.q + row * t.q_stride;
  const uint8_t *w0 = t.keys[block], *w1 = t.keys[block + V - 1];
  zero_sums<T, V>();
  for (int64_t k = 0; k < steps; ++k) {
    tile_dots<P, T, V>(q, q + 16 * t.q_stride, t.q_stride, w0, w1, 64);
    q += words * 4;
    w0 += words * 64;
    w1 += words * 64;
  }
  float* to = t.scores + (t.base.first_block % kChunkBlocks + block) * 16;
  store_tiles<T, V>(to, to + 16 * kScoreStride, kScoreStride * 4);
}

template <Product P, int T>
void amx_scores(const DotTile& t, int64_t row, Ahead& ahead) {
  const int64_t blocks = t.base.last_block - t.base.first_block;
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2) {
    fetch(ahead, ahead.lines * 2);
    amx_score_blocks<P, T, 2>(t, row, b);
  }
  if (b == blocks) return;
  fetch(ahead, ahead.lines);
  amx_score_blocks<P, T, 1>(t, row, b);
}

template <Product P, int T, int V>
void amx_value_strip(const DotTile& t, int64_t rows, int64_t d, Ahead& ahead) {
  const int64_t bytes = t.key_step * (P == Product::kBF16 ? 2 : 1);
  const uint8_t* p = t.p + t.step_begin * bytes;
  zero_sums<T, V>();
  for (int64_t step = 0; step < t.step_end - t.step_begin; ++step, p += bytes) {
    const uint8_t* w = t.values[step] + d * 4;
    fetch(ahead, bytes / 4 * V);
    tile_dots<P, T, V>(p, p + 16 * t.p_stride, t.p_stride, w, w + 64, t.base.dim * 4);
  }
  if constexpr (P == Product::kBF16) {
    const int64_t stride = partial_floats(t.base.args->kv.head_dim);
    float* to = t.base.partial + d;
    store_tiles<T, V>(to, to + 16 * stride, stride * 4);
  } else {
    store_tiles<T, V>(t.sums, t.sums + 16 * 32, 128);
    store_value_sums(t, 0, rows, d, V * 16);
  }
}

template <Product P, int T>
void amx_values(const DotTile& t, int64_t rows, Ahead& ahead) {
  int64_t d = 0;
  for (; d + 32 <= t.base.padded; d += 32) amx_value_strip<P, T, 2>(t, rows, d, ahead);
  if (d < t.base.padded) amx_value_strip<P, T, 1>(t, rows, d, ahead);
}

// One call's use of the tiles.
struct AmxDot {
  static constexpr bool kWholeSteps = true;
  explicit AmxDot(const DotTile&) {}
  ~AmxDot() { _tile_release(); }
  AmxDot(const AmxDot&) = delete;
  AmxDot& operator=(const AmxDot&) = delete;

  static void scores(const DotTile& t, int64_t row, int64_t rows, Ahead& ahead) {
    asm volatile("" ::: "memory");  // queries are in memory
    const bool two = rows > 16;
    configure_rows(rows, key_words(t) * 4);
    if (t.integer) {
      two ? amx_scores<Product::kScores, 2>(t, row, ahead)
          : amx_scores<Product::kScores, 1>(t, row, ahead);
    } else {
      two ? amx_scores<Product::kBF16, 2>(t, row, ahead)
          : amx_scores<Product::kBF16, 1>(t, row, ahead);
    }
  }
  static void values(const DotTile& t, int64_t rows, Ahead& ahead) {
    asm volatile("" ::: "memory");
    const bool two = rows > 16;
    configure_rows(rows, t.key_step * (t.integer ? 1 : 2));
    if (t.integer) {
      two ? amx_values<Product::kValues, 2>(t, rows, ahead)
          : amx_values<Product::kValues, 1>(t, rows, ahead);
    } else {
      two ? amx_values<Product::kBF16, 2>(t, rows, ahead)
          : amx_values<Product::kBF16, 1>(t, rows, ahead);
    }
  }

 private:
  static void configure_rows(int64_t rows, int64_t step) {
    configure(static_cast<int>(rows < 16 ? rows : 16), static_cast<int>(rows < 16 ? 0 : rows - 16),
              static_cast<int>(step));
  }
};

}  // namespace
}  // namespace vsurge::kernels
