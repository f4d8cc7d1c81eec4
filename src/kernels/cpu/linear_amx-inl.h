// linear() with AMX: up to 32 rows of x by two panels at a time, in four tiles of 16 by 16.
//
// Panels are the instruction's second operand as they are: [K/4][16][4] codes, [K/2][16][2]
// bfloat16. Integer sums are exact, so the results are the bytes of the other levels. Sums of
// bfloat16 are those of tdpbf16ps: 32 columns at a time, even and odd ones apart, denormals as zero
// (Intel SDM, volume 2B); this level uses it for every number of rows.
#pragma once

#include "kernels/cpu/linear_avx512-inl.h"

namespace vsurge::kernels {
namespace {

constexpr int kAmxRows = 32;  // of x, at a time
// Fewer rows of integers do no better than with vpdpbusd.
constexpr int64_t kAmxRowsMin = 2;

// The operand of ldtilecfg, palette 1. Tiles 0 to 3 are sums (row tile 0: 0, 1; row tile 1: 2, 3),
// 4 and 5 rows of x, 6 and 7 panels.
struct alignas(64) TileConfig {
  uint8_t palette;
  uint8_t start_row;
  uint8_t reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// `step`: bytes of a row of x that one multiplication takes, a multiple of 4 up to 64.
inline void configure(int rows0, int rows1, int step) {
  TileConfig c{};
  c.palette = 1;
  for (int tile = 0; tile < 8; ++tile) {
    c.row_bytes[tile] = static_cast<uint16_t>(tile == 4 || tile == 5 ? step : 64);
    const int rows = tile >= 6 ? step / 4 : tile < 2 || tile == 4 ? rows0 : rows1;
    c.rows[tile] = static_cast<uint8_t>(rows == 0 ? 1 : rows);
  }
  _tile_loadconfig(&c);
}

// One block: up to 32 rows by V panels.
struct AmxBlock {
  Tile tile;
  int rows;
  int second;      // first row of the second row tile; rows when there is none
  int32_t* sums;   // [2][32][V][16]
  uint8_t* codes;  // [V][16 quads][64], int4 widened
  float* y;        // [32][V][16]
};

template <int T, int V>
VSURGE_INLINE inline void zero_sums() {
  _tile_zero(0);
  if constexpr (V == 2) _tile_zero(1);
  if constexpr (T == 2) _tile_zero(2);
  if constexpr (T == 2 && V == 2) _tile_zero(3);
}

template <int T, int V>
VSURGE_INLINE inline void store_sums(void* to, int second) {
  char* at = static_cast<char*>(to);
  constexpr int kStride = V * 64;
  _tile_stored(0, at, kStride);
  if constexpr (V == 2) _tile_stored(1, at + 64, kStride);
  if constexpr (T == 2) _tile_stored(2, at + second * kStride, kStride);
  if constexpr (T == 2 && V == 2) _tile_stored(3, at + second * kStride + 64, kStride);
}

template <int T, int V>
VSURGE_INLINE inline void load_sums(const void* from, int second) {
  const char* at = static_cast<const char*>(from);
  constexpr int kStride = V * 64;
  _tile_loadd(0, at, kStride);
  if constexpr (V == 2) _tile_loadd(1, at + 64, kStride);
  if constexpr (T == 2) _tile_loadd(2, at + second * kStride, kStride);
  if constexpr (T == 2 && V == 2) _tile_loadd(3, at + second * kStride + 64, kStride);
}

// sums += x (row tiles at x0, x1) times panels (at w, w + w_step).
template <bool kFloat, int T, int V>
VSURGE_INLINE inline void multiply(const uint8_t* x0, const uint8_t* x1, int64_t x_stride,
                                   const uint8_t* w, int64_t w_step) {
  _tile_loadd(6, w, 64);
  _tile_loadd(4, x0, x_stride);
  if constexpr (kFloat) {
    _tile_dpbf16ps(0, 4, 6);
  } else {
    _tile_dpbsud(0, 4, 6);
  }
  if constexpr (V == 2) {
    _tile_loadd(7, w + w_step, 64);
    if constexpr (kFloat) {
      _tile_dpbf16ps(1, 4, 7);
    } else {
      _tile_dpbsud(1, 4, 7);
    }
  }
  if constexpr (T == 2) {
    _tile_loadd(5, x1, x_stride);
    if constexpr (kFloat) {
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (V == 2) _tile_dpbf16ps(3, 5, 7);
    } else {
      _tile_dpbsud(2, 5, 6);
      if constexpr (V == 2) _tile_dpbsud(3, 5, 7);
    }
  }
}

// Codes of `quads` quads of columns of V panels, one byte each.
template <Codes C, int V>
VSURGE_INLINE inline void widen(const uint8_t* w, int64_t w_step, int64_t quads, uint8_t* codes) {
  for (int64_t q = 0; q < quads / 2; ++q) {
    each<V>([&](auto v) VSURGE_INLINE {
      __m512i even, odd;
      split_nibbles<C>(_mm512_loadu_si512(w + v * w_step + q * 64), even, odd);
      _mm512_store_si512(codes + v * 1024 + q * 128, even);
      _mm512_store_si512(codes + v * 1024 + q * 128 + 64, odd);
    });
  }
  asm volatile("" ::: "memory");  // tileloadd does not tell the compiler what it reads
}

// y += scales times sums of group g.
template <bool kMinimum, int V>
VSURGE_INLINE inline void add_group(const AmxBlock& b, const int32_t* sums, int64_t g) {
  const Tile& t = b.tile;
  __m512 scale[V], minimum[V];
  each<V>([&](auto v) VSURGE_INLINE {
    scale[v] = vload_half(t.scales + v * t.scale_step + g * 16);
    if constexpr (kMinimum) minimum[v] = vload_half(t.minima + v * t.scale_step + g * 16);
  });
  for (int64_t r = 0; r < b.rows; ++r) {
    const int64_t at = r * t.groups + g;
    const __m512i start = _mm512_set1_epi32(t.starts[at]);
    const __m512 x_scale = _mm512_set1_ps(t.x_scales[at]);
    each<V>([&](auto v) VSURGE_INLINE {
      const int64_t cell = (r * V + v) * 16;
      const __m512i sum = _mm512_add_epi32(_mm512_load_si512(sums + cell), start);
      __m512 u = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale[v]);
      if constexpr (kMinimum) u = _mm512_fmadd_ps(minimum[v], _mm512_set1_ps(t.x_sums[at]), u);
      _mm512_store_ps(b.y + cell, _mm512_fmadd_ps(u, x_scale, _mm512_load_ps(b.y + cell)));
    });
  }
}

template <Codes C, bool kMinimum, int T, int V>
void amx_int_block(const AmxBlock& b) {
  const Tile& t = b.tile;
  for (int64_t i = 0; i < b.rows * V; ++i) _mm512_store_ps(b.y + i * 16, _mm512_setzero_ps());
  const int64_t columns = t.quads * 4, step = columns < 64 ? columns : 64;
  const int64_t step_bytes = step * (C == Codes::kBytes ? 16 : 8);
  const int64_t w_step = C == Codes::kBytes ? t.w_step : 1024;
  const uint8_t *w = t.w, *x = t.x;
  Burst burst = t.burst;
  for (int64_t g = 0; g < t.groups; ++g) {
    zero_sums<T, V>();
    for (int64_t k = 0; k < columns; k += step) {
      const uint8_t* codes = w;
      if constexpr (C != Codes::kBytes) {
        widen<C, V>(w, t.w_step, step / 4, b.codes);
        codes = b.codes;
      }
      multiply<false, T, V>(x, x + b.second * t.x_stride, t.x_stride, codes, w_step);
      w += step_bytes;
      x += step;
      burst.step();
      if (step == 64) burst.step();
    }
    // The sums of the group before, while the tiles work on this one.
    int32_t* sums = b.sums + g % 2 * (kAmxRows * V * 16);
    if (g > 0) add_group<kMinimum, V>(b, b.sums + (g + 1) % 2 * (kAmxRows * V * 16), g - 1);
    store_sums<T, V>(sums, b.second);
  }
  add_group<kMinimum, V>(b, b.sums + (t.groups + 1) % 2 * (kAmxRows * V * 16), t.groups - 1);
}

template <int T, int V>
void amx_bf16_block(const AmxBlock& b) {
  const Tile& t = b.tile;
  const uint8_t *w = t.w, *x = t.x;
  Burst burst = t.burst;
  zero_sums<T, V>();
  int64_t left = t.pairs;
  for (; left >= 16; left -= 16) {
    multiply<true, T, V>(x, x + b.second * t.x_stride, t.x_stride, w, t.w_step);
    w += 16 * 64;
    x += 64;
    burst.step();
  }
  store_sums<T, V>(b.y, b.second);
  if (left == 0) return;
  configure(b.second, b.rows - b.second, static_cast<int>(left * 4));
  load_sums<T, V>(b.y, b.second);
  multiply<true, T, V>(x, x + b.second * t.x_stride, t.x_stride, w, t.w_step);
  store_sums<T, V>(b.y, b.second);
}

using BlockFunction = void (*)(const AmxBlock&);
// By row tiles - 1 and panels - 1.
struct BlockTable {
  BlockFunction at[2][2];
};
template <Codes C, bool kMinimum>
constexpr BlockTable kIntBlocks = {
    {{amx_int_block<C, kMinimum, 1, 1>, amx_int_block<C, kMinimum, 1, 2>},
     {amx_int_block<C, kMinimum, 2, 1>, amx_int_block<C, kMinimum, 2, 2>}}};
constexpr BlockTable kBf16Blocks = {
    {{amx_bf16_block<1, 1>, amx_bf16_block<1, 2>}, {amx_bf16_block<2, 1>, amx_bf16_block<2, 2>}}};

inline const BlockTable& blocks_for(WeightKind kind) {
  switch (kind) {
    case WeightKind::kI8:
      return kIntBlocks<Codes::kBytes, false>;
    case WeightKind::kI8Min:
      return kIntBlocks<Codes::kBytes, true>;
    case WeightKind::kI4:
      return kIntBlocks<Codes::kNibbles, false>;
    case WeightKind::kI4Min:
      return kIntBlocks<Codes::kNibbles, true>;
    case WeightKind::kNF4:
      return kIntBlocks<Codes::kNf4, false>;
    default:
      return kBf16Blocks;
  }
}

// Steps of `multiply` in a row, in units of 32 columns as Burst counts them.
inline int64_t burst_steps(const PackedMatrix& m) {
  return (m.cols + 31) / 32;
}

void linear_tiles(const LinearArgs& a) {
  const PackedMatrix& m = a.weights;
  const BlockTable& table = blocks_for(m.kind);
  const int64_t bytes = panel_bytes(m.kind, m.cols);
  const int64_t blocks = (a.x.rows + kAmxRows - 1) / kAmxRows;
  const int64_t steps = burst_steps(m) * blocks;
  const int step = is_integer(m.kind) && m.group < 64 ? m.group : 64;
  const bool tail = m.kind == WeightKind::kBF16 && m.cols % 32 != 0;
  alignas(64) int32_t sums[2 * kAmxRows * 2 * 16];
  alignas(64) uint8_t codes[2 * 1024];
  alignas(64) float y[kAmxRows * 2 * 16];
  int configured = 0;
  for (int64_t panel = a.panel_begin; panel < a.panel_end;) {
    const int64_t count = a.panel_end - panel >= 2 ? 2 : 1;
    const int64_t next = panel + count;
    fetch_scales(m, next, a.panel_end, a.panel_end - next >= 2 ? 2 : 1);
    const int64_t lines = next < a.panel_end ? (2 * bytes / 64 + steps - 1) / steps : 0;
    const char* ahead = reinterpret_cast<const char*>(m.values + next * bytes);
    for (int64_t i = 0; i < blocks; ++i) {
      const int64_t r0 = i * a.x.rows / blocks, r1 = (i + 1) * a.x.rows / blocks;
      const int rows = static_cast<int>(r1 - r0);
      AmxBlock b{
          make_tile(a, r0, panel, bytes), rows, rows > 16 ? (rows + 1) / 2 : rows, sums, codes, y};
      const int64_t done = i * burst_steps(m) * lines * 64;
      b.tile.burst = {ahead + done, done < 2 * bytes ? lines : 0};
      if (configured != rows || tail) configure(b.second, rows - b.second, step);
      configured = rows;
      table.at[rows > 16 ? 1 : 0][count - 1](b);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t v = 0; v < count; ++v) {
          write_outputs(a, vload(y + (r * count + v) * 16), r0 + r, panel + v);
        }
      }
    }
    panel = next;
  }
  _tile_release();
}

void linear_amx(const LinearArgs& a) {
  if (a.weights.kind == WeightKind::kF32) return linear_f32(a);
  if (is_integer(a.weights.kind) && a.x.rows < kAmxRowsMin) return linear_dot(a);
  linear_tiles(a);
}

}  // namespace
}  // namespace vsurge::kernels
