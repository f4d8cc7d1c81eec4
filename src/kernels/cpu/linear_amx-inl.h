// linear() with AMX: up to 32 rows of x (16 of two planes) by two panels at a time, in four tiles
// of 16 by 16.
//
// Panels are the instruction's second operand as they are: [K/4][16][4] codes, [K/2][16][2]
// bfloat16. Integer sums are exact, so the results are the bytes of the other levels. Sums of
// bfloat16 are those of tdpbf16ps: 32 columns at a time, even and odd ones apart, denormals as zero
// (Intel SDM, volume 2B); this level uses it for every number of rows.
#pragma once

#include "kernels/cpu/linear_avx512-inl.h"

namespace vsurge::kernels {
namespace {

constexpr int kAmxRows = 32;  // of x, times planes, at a time
// Fewer rows of integers (times planes) do better with vpdpbusd.
constexpr int64_t kAmxBytesMin = 2, kAmxNibblesMin = 12;

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
  Tile tile;       // from the first column of the slab on
  int rows;        // of x
  int second;      // first line (plane of a row) of the second row tile; all if there is none
  int64_t groups;  // of the slab; the tile's `groups` is the stride of starts, scales and sums
  int32_t* sums;   // [2][32][V][16]
  uint8_t* codes;  // [V][16 quads][64], int4 widened
  float* y;        // [rows][V][16]: what the columns before the slab add up to,
  bool first;      // or nothing yet
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

// y += scales times sums of N groups from g on: the float half of the work, a row at a time.
template <bool kMinimum, int P, int V, int N>
VSURGE_INLINE inline void add_groups(const AmxBlock& b, int64_t g) {
  const int64_t groups = b.tile.groups, rows = b.rows;
  const bool first = b.first && g == 0;
  const int32_t* starts = b.tile.starts + g;
  const float* x_scales = b.tile.x_scales + g;
  const float* x_sums = b.tile.x_sums + g;
  const int32_t* sums = b.sums;
  float* y = b.y;
  __m512 scale[N][V], minimum[N][V];
  each<N>([&](auto n) VSURGE_INLINE {
    each<V>([&](auto v) VSURGE_INLINE {
      const int64_t at = v * b.tile.scale_step + (g + n) * 16;
      scale[n][v] = vload_half(b.tile.scales + at);
      if constexpr (kMinimum) minimum[n][v] = vload_half(b.tile.minima + at);
    });
  });
  for (int64_t r = 0; r < rows; ++r) {
    __m512 sum_of[V];
    each<V>([&](auto v) VSURGE_INLINE {
      sum_of[v] = first ? _mm512_setzero_ps() : _mm512_load_ps(y + v * 16);
    });
    each<N>([&](auto n) VSURGE_INLINE {
      const int32_t* line = sums + n * (kAmxRows * V * 16);
      each<V>([&](auto v) VSURGE_INLINE {
        __m512i sum = _mm512_load_si512(line + ((P - 1) * V + v) * 16);
        // With a minimum codes have no offset, and sums begin at zero.
        if constexpr (!kMinimum) sum = _mm512_add_epi32(sum, _mm512_set1_epi32(starts[n]));
        if constexpr (P == 2) {
          sum = _mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(line + v * 16), 8), sum);
        }
        __m512 u = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale[n][v]);
        if constexpr (kMinimum) u = _mm512_fmadd_ps(minimum[n][v], _mm512_set1_ps(x_sums[n]), u);
        sum_of[v] = _mm512_fmadd_ps(u, _mm512_set1_ps(x_scales[n]), sum_of[v]);
      });
    });
    each<V>([&](auto v) VSURGE_INLINE { _mm512_store_ps(y + v * 16, sum_of[v]); });
    y += V * 16;
    sums += P * V * 16;
    starts += groups;
    x_scales += groups;
    x_sums += groups;
  }
}

// Where a block stands between its groups.
struct AmxPlace {
  const uint8_t* w;
  const uint8_t* x;
  Burst burst;
};

// Integer sums of one group, to `sums`.
template <Codes C, int T, int V>
VSURGE_INLINE inline void sum_group(const AmxBlock& b, AmxPlace& at, int64_t columns,
                                    int32_t* sums) {
  const int64_t x_stride = b.tile.x_stride;
  const int64_t step = columns < 64 ? columns : 64;
  zero_sums<T, V>();
  for (int64_t k = 0; k < columns; k += step) {
    if constexpr (C == Codes::kBytes) {
      multiply<false, T, V>(at.x, at.x + b.second * x_stride, x_stride, at.w, b.tile.w_step);
      at.w += step * 16;
    } else {
      widen<C, V>(at.w, b.tile.w_step, step / 4, b.codes);
      multiply<false, T, V>(at.x, at.x + b.second * x_stride, x_stride, b.codes, 1024);
      at.w += step * 8;
    }
    at.x += step;
    at.burst.step();
  }
  store_sums<T, V>(sums, b.second);
}

template <Codes C, bool kMinimum, int P, int T, int V>
void amx_int_block(const AmxBlock& b) {
  const int64_t columns = b.tile.quads * 4;
  constexpr int64_t kGroupSums = kAmxRows * V * 16;
  AmxPlace at{b.tile.w, b.tile.x, b.tile.burst};
  int64_t g = 0;
  for (; g + 2 <= b.groups; g += 2) {
    sum_group<C, T, V>(b, at, columns, b.sums);
    sum_group<C, T, V>(b, at, columns, b.sums + kGroupSums);
    add_groups<kMinimum, P, V, 2>(b, g);
  }
  if (g == b.groups) return;
  sum_group<C, T, V>(b, at, columns, b.sums);
  add_groups<kMinimum, P, V, 1>(b, g);
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
template <Codes C, bool kMinimum, int P>
constexpr BlockTable int_blocks() {
  return {{{amx_int_block<C, kMinimum, P, 1, 1>, amx_int_block<C, kMinimum, P, 1, 2>},
           {amx_int_block<C, kMinimum, P, 2, 1>, amx_int_block<C, kMinimum, P, 2, 2>}}};
}
// By planes - 1.
template <Codes C, bool kMinimum>
constexpr BlockTable kIntBlocks[2] = {int_blocks<C, kMinimum, 1>(), int_blocks<C, kMinimum, 2>()};
constexpr BlockTable kBf16Blocks = {
    {{amx_bf16_block<1, 1>, amx_bf16_block<1, 2>}, {amx_bf16_block<2, 1>, amx_bf16_block<2, 2>}}};

inline const BlockTable& blocks_for(WeightKind kind, int planes) {
  switch (kind) {
    case WeightKind::kI8:
      return kIntBlocks<Codes::kBytes, false>[planes - 1];
    case WeightKind::kI8Min:
      return kIntBlocks<Codes::kBytes, true>[planes - 1];
    case WeightKind::kI4:
      return kIntBlocks<Codes::kNibbles, false>[planes - 1];
    case WeightKind::kI4Min:
      return kIntBlocks<Codes::kNibbles, true>[planes - 1];
    case WeightKind::kNF4:
      return kIntBlocks<Codes::kNf4, false>[planes - 1];
    default:
      return kBf16Blocks;
  }
}

// Panels, columns and rows are taken in pieces: a strip of panels that the second cache holds; of
// it all blocks of rows; of a block slabs of columns, so narrow that its part of x stays in the
// first cache while the panels pass.
struct AmxPieces {
  int64_t strip;   // panels
  int64_t slab;    // columns
  int64_t blocks;  // of rows
  int step;        // columns that one multiplication takes, in bytes of x
};
constexpr int64_t kSlabBytes = 8 << 10;
// Measured: few rows wait for memory, many reuse what the second cache holds.
constexpr int64_t kStripBytes = 64 << 10, kWideStripBytes = 256 << 10;
constexpr int64_t kWideBlocks = 4;
constexpr int64_t kStripPanels = 32;

inline AmxPieces pieces_of(const LinearArgs& a) {
  const PackedMatrix& m = a.weights;
  const int64_t lines = a.x.rows * a.x.planes;
  AmxPieces p{};
  p.blocks = (lines + kAmxRows - 1) / kAmxRows;
  p.step = is_integer(m.kind) && m.group < 64 ? m.group : 64;
  const int64_t bytes = p.blocks < kWideBlocks ? kStripBytes : kWideStripBytes;
  const int64_t strip = bytes / panel_bytes(m.kind, m.cols) / 2 * 2;
  p.strip = strip < 2 ? 2 : strip > kStripPanels ? kStripPanels : strip;
  p.slab = m.cols;
  if (!is_integer(m.kind)) return p;  // their sums stay in tiles, from the first column to the last
  const int64_t block_lines = lines < kAmxRows ? lines : kAmxRows;
  const int64_t columns = kSlabBytes / block_lines / 256 * 256;  // whole groups
  if (columns < m.cols) p.slab = columns;
  return p;
}

// The slab of one block and one or two panels.
struct AmxPiece {
  int64_t panel, count;
  int64_t r0, rows;
  int64_t k0, k1;
};

inline AmxBlock make_block(const LinearArgs& a, const AmxPiece& p) {
  const PackedMatrix& m = a.weights;
  const int lines = static_cast<int>(p.rows) * a.x.planes;
  AmxBlock b{};
  b.tile = make_tile(a, p.r0, p.panel, panel_bytes(m.kind, m.cols));
  b.rows = static_cast<int>(p.rows);
  b.second = lines > 16 ? static_cast<int>(p.rows + 1) / 2 * a.x.planes : lines;
  b.tile.w += panel_bytes(m.kind, p.k0);
  b.tile.x += p.k0 * activation_bytes(m.kind);
  if (m.group == 0) return b;
  const int64_t g0 = p.k0 / m.group;
  b.groups = (p.k1 - p.k0) / m.group;
  b.tile.scales += g0 * 16;
  if (m.minima != nullptr) b.tile.minima += g0 * 16;
  b.tile.starts += g0;
  b.tile.x_scales += g0;
  b.tile.x_sums += g0;
  return b;
}

// Work that one call does for all its pieces.
struct AmxWork {
  const LinearArgs* args;
  const BlockTable* table;
  AmxPieces pieces;
  int64_t configured;  // rows of the last block
  int64_t strip_begin;
  const char* ahead;  // of the next strip, what has not been asked for yet
  const char* ahead_end;
  int64_t ahead_lines;  // a step
  alignas(64) int32_t sums[2 * kAmxRows * 2 * 16];
  alignas(64) uint8_t codes[2 * 1024];
  alignas(64) float y[kStripPanels * kAmxRows * 16];
};

// What the strip that ends before panel `end` gives for rows [r0, r0 + rows), row by row.
inline void write_strip(const AmxWork& work, int64_t begin, int64_t end, const AmxPiece& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t pair = (panel - begin) / 2 * 2;
      const int64_t count = end - begin - pair >= 2 ? 2 : 1;
      const int64_t cell = pair * kAmxRows + r * count + (panel - begin - pair);
      write_outputs(*work.args, vload(work.y + cell * 16), p.r0 + r, panel);
    }
  }
}

// Of one block's row of bytes.
inline int64_t steps_of(const AmxWork& work, int64_t k0, int64_t k1) {
  const PackedMatrix& m = work.args->weights;
  const int64_t bytes = (k1 - k0) * activation_bytes(m.kind);
  return (bytes + work.pieces.step - 1) / work.pieces.step;
}

// The strip from `begin` on starts: the next one is asked for while it is worked on.
inline void enter_strip(AmxWork& work, int64_t begin) {
  const LinearArgs& a = *work.args;
  const int64_t bytes = panel_bytes(a.weights.kind, a.weights.cols);
  const int64_t end =
      begin + work.pieces.strip < a.panel_end ? begin + work.pieces.strip : a.panel_end;
  const int64_t next =
      end + work.pieces.strip < a.panel_limit ? end + work.pieces.strip : a.panel_limit;
  work.strip_begin = begin;
  work.ahead = reinterpret_cast<const char*>(a.weights.values) + end * bytes;
  work.ahead_end = work.ahead + (next - end) * bytes;
  const int64_t steps =
      steps_of(work, 0, a.weights.cols) * ((end - begin + 1) / 2) * work.pieces.blocks;
  work.ahead_lines = ((next - end) * bytes / 64 + steps - 1) / steps;
  fetch_scales(a.weights, end, a.panel_limit, next - end);
}

inline void run_piece(AmxWork& work, const AmxPiece& p, const AmxPiece& next) {
  const LinearArgs& a = *work.args;
  const PackedMatrix& m = a.weights;
  if (p.k0 == 0 && p.r0 == 0 && (p.panel - a.panel_begin) % work.pieces.strip == 0) {
    enter_strip(work, p.panel);
  }
  AmxBlock b = make_block(a, p);
  b.sums = work.sums;
  b.codes = work.codes;
  b.y = work.y + (p.panel - work.strip_begin) * kAmxRows * 16;
  b.first = p.k0 == 0;
  const bool tail = m.kind == WeightKind::kBF16 && m.cols % 32 != 0;
  const int lines = static_cast<int>(p.rows) * a.x.planes;
  if (work.configured != p.rows || tail) configure(b.second, lines - b.second, work.pieces.step);
  work.configured = p.rows;
  b.tile.burst = {work.ahead, work.ahead < work.ahead_end ? work.ahead_lines : 0};
  work.ahead += steps_of(work, p.k0, p.k1) * b.tile.burst.lines * 64;
  work.table->at[lines > 16 ? 1 : 0][p.count - 1](b);
  // The strip is done for these rows where the columns begin anew.
  if (p.k1 == m.cols && (next.count == 0 || next.panel <= p.panel ||
                         next.panel == work.strip_begin + work.pieces.strip)) {
    write_strip(work, work.strip_begin, p.panel + p.count, p);
  }
}

// The piece after p; count 0 at the end.
inline AmxPiece next_piece(const LinearArgs& a, const AmxPieces& pieces, AmxPiece p) {
  const int64_t cols = a.weights.cols;
  const int64_t strip_begin =
      a.panel_begin + (p.panel - a.panel_begin) / pieces.strip * pieces.strip;
  const int64_t strip_end =
      strip_begin + pieces.strip < a.panel_end ? strip_begin + pieces.strip : a.panel_end;
  p.panel += p.count;
  if (p.panel == strip_end) {
    p.panel = strip_begin;
    p.k0 = p.k1;
    if (p.k0 == cols) {
      p.k0 = 0;
      p.r0 += p.rows;
      if (p.r0 == a.x.rows) {
        p.r0 = 0;
        p.panel = strip_end;
      }
    }
  }
  const int64_t end = p.panel >= strip_end ? a.panel_end : strip_end;
  p.count = end - p.panel >= 2 ? 2 : end - p.panel;
  p.k1 = p.k0 + pieces.slab < cols ? p.k0 + pieces.slab : cols;
  // Blocks differ by one row at most.
  const int64_t block = (p.r0 * pieces.blocks + a.x.rows - 1) / a.x.rows;
  p.rows = (block + 1) * a.x.rows / pieces.blocks - p.r0;
  return p;
}

void linear_tiles(const LinearArgs& a) {
  AmxWork work;
  work.args = &a;
  work.table = &blocks_for(a.weights.kind, a.x.planes);
  work.pieces = pieces_of(a);
  work.configured = 0;
  AmxPiece piece{};
  piece.panel = a.panel_begin;
  piece = next_piece(a, work.pieces, piece);
  while (piece.count > 0) {
    const AmxPiece next = next_piece(a, work.pieces, piece);
    run_piece(work, piece, next);
    piece = next;
  }
  _tile_release();
}

void linear_amx(const LinearArgs& a) {
  if (a.weights.kind == WeightKind::kF32) return linear_f32(a);
  const int64_t least = has_nibbles(a.weights.kind) ? kAmxNibblesMin : kAmxBytesMin;
  if (is_integer(a.weights.kind) && a.x.rows * a.x.planes < least) return linear_dot(a);
  linear_tiles(a);
}

}  // namespace
}  // namespace vsurge::kernels
