// The products of attention_dot-inl.h with vpdpbusd and vdpbf16ps: up to eight rows at a time.
#pragma once

#include "kernels/cpu/attention_dot-inl.h"
#include "kernels/cpu/linear_avx512-inl.h"

namespace vsurge::kernels {
namespace {

// Scores of R rows and B blocks. vpdpbusd takes one operand unsigned: keys plus 128, the sums start
// with what that adds.
template <bool kInteger, int R, int B>
VSURGE_INLINE inline void score_dots(const DotTile& t, int64_t row, int64_t r, int64_t block) {
  const uint8_t* const* keys = t.keys + block;
  const uint8_t* q = t.q + (row + r) * t.q_stride;
  __m512i sums[R][B];
  each<R>([&](auto i) VSURGE_INLINE {
    const int32_t start = kInteger ? -128 * t.q_sums[row + r + i] : 0;
    each<B>([&](auto b) VSURGE_INLINE { sums[i][b] = _mm512_set1_epi32(start); });
  });
  const int64_t steps = t.base.dim / (kInteger ? 4 : 2);
  for (int64_t k = 0; k < steps; ++k) {
    __m512i w[B];
    each<B>([&](auto b) VSURGE_INLINE {
      w[b] = _mm512_loadu_si512(keys[b] + k * 64);
      if constexpr (kInteger) w[b] = _mm512_xor_si512(w[b], _mm512_set1_epi8(-128));
    });
    each<R>([&](auto i) VSURGE_INLINE {
      const __m512i x = broadcast4(q + i * t.q_stride + k * 4);
      each<B>([&](auto b) VSURGE_INLINE {
        if constexpr (kInteger) {
          dot(sums[i][b], w[b], x);
        } else {
          __m512 s = _mm512_castsi512_ps(sums[i][b]);
          dot(s, w[b], x);
          sums[i][b] = _mm512_castps_si512(s);
        }
      });
    });
  }
  const int64_t place = (t.base.first_block % kChunkBlocks + block) * 16;
  each<R>([&](auto i) VSURGE_INLINE {
    each<B>([&](auto b) VSURGE_INLINE {
      _mm512_storeu_si512(t.scores + (r + i) * kScoreStride + place + b * 16, sums[i][b]);
    });
  });
}

// Scores of R rows and `blocks` blocks from `block` on.
template <bool kInteger, int R>
VSURGE_INLINE inline void score_rows(const DotTile& t, int64_t row, int64_t r, int64_t block,
                                     int64_t blocks) {
  constexpr int kBlocks = R <= 4 ? 4 : 2;
  int64_t b = 0;
  for (; b + kBlocks <= blocks; b += kBlocks) {
    score_dots<kInteger, R, kBlocks>(t, row, r, block + b);
  }
  for (; b < blocks; ++b) score_dots<kInteger, R, 1>(t, row, r, block + b);
}

// Accumulators of R rows and V vectors of dimensions from d on.
template <bool kInteger, int R, int V>
VSURGE_INLINE inline void value_dots(const DotTile& t, int64_t r, int64_t d, Ahead& ahead) {
  __m512i sums[R][V];
  each<R>([&](auto i) VSURGE_INLINE {
    each<V>([&](auto v) VSURGE_INLINE { sums[i][v] = _mm512_setzero_si512(); });
  });
  const uint8_t* p = t.p + r * t.p_stride + t.step_begin * t.key_step * (kInteger ? 1 : 2);
  for (int64_t step = 0; step < t.steps; ++step) {
    const int64_t words = t.words[step];
    const uint8_t* from = t.values[step] + d * 4;
    fetch(ahead, t.key_step * V / (kInteger ? 4 : 2));
    for (int64_t k = 0; k < words; ++k, p += 4) {
      __m512i w[V];
      each<V>([&](auto v)
                  VSURGE_INLINE { w[v] = _mm512_loadu_si512(from + k * t.base.dim * 4 + v * 64); });
      each<R>([&](auto i) VSURGE_INLINE {
        const __m512i x = broadcast4(p + i * t.p_stride);
        each<V>([&](auto v) VSURGE_INLINE {
          if constexpr (kInteger) {
            dot(sums[i][v], x, w[v]);
          } else {
            __m512 s = _mm512_castsi512_ps(sums[i][v]);
            dot(s, w[v], x);
            sums[i][v] = _mm512_castps_si512(s);
          }
        });
      });
    }
  }
  const int64_t stride = partial_floats(t.base.args->kv.head_dim);
  constexpr int kPlanes = kInteger ? 2 : 1;
  each<R / kPlanes>([&](auto line) VSURGE_INLINE {
    constexpr int i = line * kPlanes;
    float* to = t.base.partial + (r / kPlanes + line) * stride + d;
    each<V>([&](auto v) VSURGE_INLINE {
      if constexpr (kInteger) {
        store_value_sum(to + v * 16, sums[i][v], sums[i + 1][v], t.p_scales[r + i]);
      } else {
        _mm512_storeu_si512(to + v * 16, sums[i][v]);
      }
    });
  });
}

// f(Count<rows>) of up to eight rows; integer ones are whole lines.
template <bool kInteger, class F>
inline void with_rows(int64_t rows, F&& f) {
  if constexpr (kInteger) {
    with_count<kTileRows / 2>(rows / 2,
                              [&](auto count) { f(Count<2 * decltype(count)::value>{}); });
  } else {
    with_count<kTileRows>(rows, f);
  }
}

// f(r, Count<rows>) over pieces of up to eight rows.
template <bool kInteger, class F>
inline void pieces_of_rows(int64_t rows, F&& f) {
  for (int64_t r = 0; r < rows; r += kTileRows) {
    const int64_t n = rows - r < kTileRows ? rows - r : kTileRows;
    with_rows<kInteger>(n, [&](auto count) { f(r, count); });
  }
}

struct Avx512Dot {
  static constexpr bool kWholeSteps = false;
  explicit Avx512Dot(const DotTile&) {}
  static void scores(const DotTile& t, int64_t row, int64_t rows, Ahead& ahead) {
    if (t.integer) return all_scores<true>(t, row, rows, ahead);
    all_scores<false>(t, row, rows, ahead);
  }
  static void values(const DotTile& t, int64_t rows, Ahead& ahead) {
    if (t.integer) return all_values<true>(t, rows, ahead);
    all_values<false>(t, rows, ahead);
  }

 private:
  // All rows meet some keys, or some dimensions of the values, before the next: those stay in the
  // first cache.
  template <bool kInteger>
  static void all_scores(const DotTile& t, int64_t row, int64_t rows, Ahead& ahead) {
    constexpr int64_t kBlocks = 4;
    const int64_t blocks = t.base.last_block - t.base.first_block;
    for (int64_t b = 0; b < blocks; b += kBlocks) {
      const int64_t n = blocks - b < kBlocks ? blocks - b : kBlocks;
      pieces_of_rows<kInteger>(rows, [&](int64_t r, auto count) {
        fetch(ahead, ahead.lines * n);
        score_rows<kInteger, decltype(count)::value>(t, row, r, b, n);
      });
    }
  }
  template <bool kInteger>
  static void all_values(const DotTile& t, int64_t rows, Ahead& ahead) {
    if (rows <= kTileRows) {
      with_rows<kInteger>(rows, [&](auto count) {
        constexpr int R = decltype(count)::value;
        constexpr int V = R <= 2 ? 8 : R <= 6 ? 4 : 2;
        int64_t d = 0;
        for (; d + V * 16 <= t.base.padded; d += V * 16) value_dots<kInteger, R, V>(t, 0, d, ahead);
        for (; d < t.base.padded; d += 16) value_dots<kInteger, R, 1>(t, 0, d, ahead);
      });
      return;
    }
    for (int64_t d = 0; d < t.base.padded; d += 32) {
      pieces_of_rows<kInteger>(rows, [&](int64_t r, auto count) {
        constexpr int R = decltype(count)::value;
        if (d + 32 <= t.base.padded) {
          value_dots<kInteger, R, 2>(t, r, d, ahead);
        } else {
          value_dots<kInteger, R, 1>(t, r, d, ahead);
        }
      });
    }
  }
};

}  // namespace
}  // namespace vsurge::kernels
