// linear() with vpdpbusd and (where the CPU has it) vdpbf16ps: register tiles of up to eight rows
// by two panels. The rows of a batch are divided into tiles that differ by one row at most.
//
// The weights are the unsigned operand and the activations the signed one, so the offset of the
// stored codes costs nothing: integer sums start from -offset * sum(x) instead of zero.
#pragma once

#include "kernels/cpu/linear_float-inl.h"

namespace vsurge::kernels {
namespace {

#define VSURGE_INLINE __attribute__((always_inline))

// Loops that the front end unrolls: with plain loops g++ 12 keeps accumulators on the stack.
template <int I>
struct Index {
  constexpr operator int() const { return I; }
};
template <int N, class F>
VSURGE_INLINE constexpr void each(F&& f) {
  if constexpr (N > 0) {
    each<N - 1>(f);
    f(Index<N - 1>{});
  }
}

// The tied operand in inline assembly: through the intrinsics g++ 12 copies every accumulator.
VSURGE_INLINE inline void dot(__m512i& acc, __m512i codes, __m512i x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(x));
}
#ifdef __AVX512BF16__
VSURGE_INLINE inline void dot(__m512& acc, __m512i w, __m512i x) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(w), "v"(x));
}
#else
// The chain of vdpbf16ps: the odd columns first.
VSURGE_INLINE inline void dot(__m512& acc, __m512i w, __m512i x) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  acc = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(w, upper)),
                        _mm512_castsi512_ps(_mm512_and_si512(x, upper)), acc);
  acc = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(w, 16)),
                        _mm512_castsi512_ps(_mm512_slli_epi32(x, 16)), acc);
}
#endif
VSURGE_INLINE inline __m512i broadcast4(const uint8_t* p) {
  int v;
  memcpy(&v, p, 4);
  return _mm512_set1_epi32(v);
}

constexpr int kTileRows = 8;                   // times planes
constexpr int64_t kRowBlockBytes = 128 << 10;  // measured: 96 to 384 KB within 2 %

// How the bytes of a panel become codes.
enum class Codes : uint8_t { kBytes, kNibbles, kNf4 };
VSURGE_INLINE inline __m512i nf4_table() {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kNf4Codes)));
}
// The codes of two quads of columns that lie in 64 bytes.
template <Codes C>
VSURGE_INLINE inline void split_nibbles(__m512i bytes, __m512i& even, __m512i& odd) {
  const __m512i low = _mm512_set1_epi8(15);
  even = _mm512_and_si512(bytes, low);
  odd = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), low);
  if constexpr (C == Codes::kNf4) {
    even = _mm512_shuffle_epi8(nf4_table(), even);
    odd = _mm512_shuffle_epi8(nf4_table(), odd);
  }
}

// Asks for the weights of the next panels a few cache lines at a time, between dot products: all at
// once, or one beside each load, the requests do not overlap with the work.
#ifdef VSURGE_FETCH_TO_SECOND_CACHE
constexpr auto kFetchHint = _MM_HINT_T1;
#else
constexpr auto kFetchHint = _MM_HINT_T0;
#endif
struct Burst {
  const char* next;
  int64_t lines;  // a step

  VSURGE_INLINE inline void step() {
    for (int64_t i = 0; i < lines; ++i) _mm_prefetch(next + i * 64, kFetchHint);
    next += lines * 64;
  }
};

// Inputs of one register tile: V panels by R rows, all of K.
struct Tile {
  const uint8_t* w;  // first panel
  int64_t w_step;    // bytes from panel to panel
  const uint16_t* scales;
  const uint16_t* minima;
  int64_t scale_step;  // values from panel to panel
  const uint8_t* x;
  int64_t x_stride;  // bytes from plane to plane
  const int32_t* starts;
  const float* x_scales;
  const float* x_sums;
  int64_t groups;
  int64_t quads;  // of columns in a group
  int64_t pairs;  // of columns in all
  Burst burst;
};

// Four quads of columns: acc += codes * x.
template <Codes C, int R, int V>
VSURGE_INLINE inline void dot_quads(__m512i (&acc)[R][V], const uint8_t* w, int64_t w_step,
                                    const uint8_t* x, int64_t x_stride) {
  if constexpr (C == Codes::kBytes) {
    each<4>([&](auto j) VSURGE_INLINE {
      __m512i b[V];
      each<V>([&](auto v) VSURGE_INLINE { b[v] = _mm512_loadu_si512(w + v * w_step + j * 64); });
      each<R>([&](auto r) VSURGE_INLINE {
        const __m512i xb = broadcast4(x + r * x_stride + j * 4);
        each<V>([&](auto v) VSURGE_INLINE { dot(acc[r][v], b[v], xb); });
      });
    });
  } else {
    each<2>([&](auto j) VSURGE_INLINE {
      __m512i even[V], odd[V];
      each<V>([&](auto v) VSURGE_INLINE {
        split_nibbles<C>(_mm512_loadu_si512(w + v * w_step + j * 64), even[v], odd[v]);
      });
      each<R>([&](auto r) VSURGE_INLINE {
        const __m512i b = broadcast4(x + r * x_stride + j * 8);
        each<V>([&](auto v) VSURGE_INLINE { dot(acc[r][v], even[v], b); });
      });
      each<R>([&](auto r) VSURGE_INLINE {
        const __m512i b = broadcast4(x + r * x_stride + j * 8 + 4);
        each<V>([&](auto v) VSURGE_INLINE { dot(acc[r][v], odd[v], b); });
      });
    });
  }
}

// y [R][V][16] = the tile's outputs, R rows of P planes. kQuads: quads in a group, 0 = t.quads.
template <Codes C, bool kMinimum, int kQuads, int P, int R, int V>
void int_tile(const Tile& t, float* y) {
  // With more cells the float sums wait in L1 while the integer sums fill the registers.
  constexpr bool kInMemory = R * P * V > 8;
  constexpr int64_t kQuadBytes = C == Codes::kBytes ? 64 : 32;
  __m512 sums[R][V];
  each<R>([&](auto r) VSURGE_INLINE {
    each<V>([&](auto v) VSURGE_INLINE {
      sums[r][v] = _mm512_setzero_ps();
      if constexpr (kInMemory) _mm512_store_ps(y + (r * V + v) * 16, _mm512_setzero_ps());
    });
  });
  const int64_t quads = kQuads != 0 ? kQuads : t.quads;
  const int64_t w_step = t.w_step, scale_step = t.scale_step, x_stride = t.x_stride;
  const int64_t groups = t.groups;
  const uint8_t *w = t.w, *x = t.x;
  Burst burst = t.burst;
  for (int64_t g = 0; g < groups; ++g) {
    __m512i acc[R * P][V];
    each<R>([&](auto r) VSURGE_INLINE {
      const __m512i start = _mm512_set1_epi32(t.starts[r * groups + g]);
      each<V>([&](auto v) VSURGE_INLINE {
        acc[r * P + P - 1][v] = start;
        if constexpr (P == 2) acc[r * P][v] = _mm512_setzero_si512();
      });
    });
    for (int64_t q = 0; q < quads; q += 4) {
      dot_quads<C, R * P, V>(acc, w, w_step, x, x_stride);
      w += 4 * kQuadBytes;
      x += 16;
      if (q % 8 == 0) burst.step();
    }
    __m512 scale[V], minimum[V];
    each<V>([&](auto v) VSURGE_INLINE {
      scale[v] = vload_half(t.scales + v * scale_step + g * 16);
      if constexpr (kMinimum) minimum[v] = vload_half(t.minima + v * scale_step + g * 16);
    });
    each<R>([&](auto r) VSURGE_INLINE {
      const __m512 x_scale = _mm512_set1_ps(t.x_scales[r * groups + g]);
      const __m512 x_sum = _mm512_set1_ps(t.x_sums[r * groups + g]);
      each<V>([&](auto v) VSURGE_INLINE {
        __m512i sum = acc[r * P + P - 1][v];
        if constexpr (P == 2) sum = _mm512_add_epi32(_mm512_slli_epi32(acc[r * P][v], 8), sum);
        __m512 u = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale[v]);
        if constexpr (kMinimum) u = _mm512_fmadd_ps(minimum[v], x_sum, u);
        float* at = y + (r * V + v) * 16;
        if constexpr (kInMemory) {
          _mm512_store_ps(at, _mm512_fmadd_ps(u, x_scale, _mm512_load_ps(at)));
        } else {
          sums[r][v] = _mm512_fmadd_ps(u, x_scale, sums[r][v]);
        }
      });
    });
    // Else the compiler takes the sums into registers and spills the integers.
    if constexpr (kInMemory) asm volatile("" ::: "memory");
  }
  if constexpr (!kInMemory) {
    each<R>([&](auto r) VSURGE_INLINE {
      each<V>([&](auto v) VSURGE_INLINE { _mm512_store_ps(y + (r * V + v) * 16, sums[r][v]); });
    });
  }
}

template <int R, int V>
void bf16_tile(const Tile& t, float* y) {
  __m512 sums[R][V];
  each<R>([&](auto r) VSURGE_INLINE {
    each<V>([&](auto v) VSURGE_INLINE { sums[r][v] = _mm512_setzero_ps(); });
  });
  const int64_t w_step = t.w_step, x_stride = t.x_stride;
  const uint8_t *w = t.w, *x = t.x;
  Burst burst = t.burst;
  const auto pair = [&](int64_t j) VSURGE_INLINE {
    __m512i b[V];
    each<V>([&](auto v) VSURGE_INLINE { b[v] = _mm512_loadu_si512(w + v * w_step + j * 64); });
    each<R>([&](auto r) VSURGE_INLINE {
      const __m512i xb = broadcast4(x + r * x_stride + j * 4);
      each<V>([&](auto v) VSURGE_INLINE { dot(sums[r][v], b[v], xb); });
    });
  };
  int64_t left = t.pairs;
  for (; left >= 8; left -= 8) {
    each<8>([&](auto j) VSURGE_INLINE { pair(j); });
    w += 8 * 64;
    x += 8 * 4;
    if (left % 16 >= 8) burst.step();
  }
  for (int64_t j = 0; j < left; ++j) pair(j);
  each<R>([&](auto r) VSURGE_INLINE {
    each<V>([&](auto v) VSURGE_INLINE { _mm512_store_ps(y + (r * V + v) * 16, sums[r][v]); });
  });
}

using TileFunction = void (*)(const Tile&, float*);
// By rows - 1: tiles of one panel (any group), of two panels with groups of 32, and with any.
struct TileTable {
  TileFunction one[kTileRows], two_32[kTileRows], two[kTileRows];
};
template <Codes C, bool kMinimum, int P>
constexpr TileTable int_table() {
  TileTable t{};
  each<kTileRows / P>([&](auto i) {
    constexpr int R = decltype(i){} + 1;
    t.one[R - 1] = int_tile<C, kMinimum, 0, P, R, 1>;
    t.two_32[R - 1] = int_tile<C, kMinimum, 8, P, R, 2>;
    t.two[R - 1] = int_tile<C, kMinimum, 0, P, R, 2>;
  });
  return t;
}
constexpr TileTable bf16_table() {
  TileTable t{};
  each<kTileRows>([&](auto i) {
    constexpr int R = decltype(i){} + 1;
    t.one[R - 1] = bf16_tile<R, 1>;
    t.two_32[R - 1] = t.two[R - 1] = bf16_tile<R, 2>;
  });
  return t;
}
constexpr TileTable kBf16Tiles = bf16_table();
template <Codes C, bool kMinimum>
constexpr TileTable kIntTiles[2] = {int_table<C, kMinimum, 1>(), int_table<C, kMinimum, 2>()};

inline const TileTable& tiles_for(WeightKind kind, int planes) {
  switch (kind) {
    case WeightKind::kI8:
      return kIntTiles<Codes::kBytes, false>[planes - 1];
    case WeightKind::kI8Min:
      return kIntTiles<Codes::kBytes, true>[planes - 1];
    case WeightKind::kI4:
      return kIntTiles<Codes::kNibbles, false>[planes - 1];
    case WeightKind::kI4Min:
      return kIntTiles<Codes::kNibbles, true>[planes - 1];
    case WeightKind::kNF4:
      return kIntTiles<Codes::kNf4, false>[planes - 1];
    default:
      return kBf16Tiles;
  }
}

// The inputs of the rows from r0 on and the panels from `panel` on.
inline Tile make_tile(const LinearArgs& a, int64_t r0, int64_t panel, int64_t bytes) {
  const PackedMatrix& m = a.weights;
  Tile t{};
  t.w = m.values + panel * bytes;
  t.w_step = bytes;
  t.x = a.x.values + r0 * a.x.planes * a.x.stride;
  t.x_stride = a.x.stride;
  t.pairs = m.cols / 2;
  if (m.group == 0) return t;
  t.groups = m.cols / m.group;
  t.quads = m.group / 4;
  t.scale_step = t.groups * 16;
  t.scales = m.scales + panel * t.scale_step;
  if (m.minima != nullptr) t.minima = m.minima + panel * t.scale_step;
  t.starts = a.x.starts + r0 * t.groups;
  t.x_scales = a.x.scales + r0 * t.groups;
  t.x_sums = a.x.sums + r0 * t.groups;
  return t;
}

inline void fetch_scales(const PackedMatrix& m, int64_t panel, int64_t panel_end, int64_t count) {
  if (m.group == 0 || panel >= panel_end) return;
  const int64_t step = m.cols / m.group * 16;
  for (int64_t i = 0; i < step * count; i += 32) {
    _mm_prefetch(reinterpret_cast<const char*>(m.scales + panel * step + i), _MM_HINT_T0);
    if (m.minima == nullptr) continue;
    _mm_prefetch(reinterpret_cast<const char*>(m.minima + panel * step + i), _MM_HINT_T0);
  }
}

// All panels by the rows [row_begin, row_end).
inline void linear_rows(const LinearArgs& a, int64_t row_begin, int64_t row_end) {
  const PackedMatrix& m = a.weights;
  const TileTable& table = tiles_for(m.kind, a.x.planes);
  const int64_t bytes = panel_bytes(m.kind, m.cols);
  const int64_t all = row_end - row_begin;
  const int64_t tiles = (all * a.x.planes + kTileRows - 1) / kTileRows;
  const int64_t steps = (m.cols + 31) / 32 * tiles;
  alignas(64) float y[kTileRows * 2 * 16];
  for (int64_t panel = a.panel_begin; panel < a.panel_end;) {
    const int64_t count = a.panel_end - panel >= 2 ? 2 : 1;
    const int64_t next = panel + count;
    // The hardware reads ahead by itself where there is nothing to do but read.
    const bool more = next < a.panel_limit && a.x.rows * a.x.planes > 1;
    fetch_scales(m, next, a.panel_limit, a.panel_limit - next >= 2 ? 2 : 1);
    const int64_t lines = more ? (2 * bytes / 64 + steps - 1) / steps : 0;
    const char* ahead = reinterpret_cast<const char*>(m.values + next * bytes);
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t r0 = row_begin + i * all / tiles;
      const int64_t rows = row_begin + (i + 1) * all / tiles - r0;
      Tile t = make_tile(a, r0, panel, bytes);
      const int64_t done = i * (steps / tiles) * lines * 64;
      t.burst = {ahead + done, done < 2 * bytes ? lines : 0};
      const TileFunction* choice =
          count == 1 ? table.one : (m.group == 32 ? table.two_32 : table.two);
      choice[rows - 1](t, y);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t v = 0; v < count; ++v) {
          write_outputs(a, vload(y + (r * count + v) * 16), r0 + r, panel + v);
        }
      }
    }
    panel = next;
  }
}

void linear_dot(const LinearArgs& a) {
  if (a.weights.kind == WeightKind::kF32) return linear_f32(a);
  // So many rows that their activations stay in the second cache, beside the panels they meet.
  int64_t most = kRowBlockBytes / (a.x.stride * a.x.planes) / kTileRows * kTileRows;
  if (most < kTileRows) most = kTileRows;
  for (int64_t row = 0; row < a.x.rows; row += most) {
    linear_rows(a, row, a.x.rows - row < most ? a.x.rows : row + most);
  }
}

}  // namespace
}  // namespace vsurge::kernels
